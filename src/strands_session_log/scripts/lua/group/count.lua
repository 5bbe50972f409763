#!lua flags=allow-oom
-- Counts one more in a field of a group's hash.
-- uses: lib/group
--
-- KEYS: group; ARGV: 1 field
--
-- Returns how many there are now.
return count(KEYS[1], ARGV[1])
