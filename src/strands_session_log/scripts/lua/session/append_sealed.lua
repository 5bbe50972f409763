-- Appends a batch of events whose content is encrypted to one session.
-- uses: lib/append
--
-- ARGV: what lib/append.lua takes; and last, the session whose key it is encrypted with
local root = table.remove(ARGV)
return append(nil, root)
