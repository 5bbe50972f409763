-- Which links stand under ids that were written down elsewhere; and what is left of the session where they do not.
-- uses: lib/arguments
--
-- KEYS: events, head, tombstones (one slot)
-- ARGV: 1 session id; then the ids
--
-- Returns {revision, predecessor, tombstone, links}: of the head how many events there are, and what it says of the session
-- that had the id before; the tombstone of the id; of each id the link there; '' for each of these that is not there, or
-- not what it should be.
local events, head, tombstones = unpack(KEYS)
local fields = redis.pcall('HMGET', head, 'revision', 'predecessor')
local tombstone = redis.pcall('HGET', tombstones, redis.sha1hex(ARGV[1]))
local links = {}
for at = 2, #ARGV do
    local entry = redis.pcall('XRANGE', events, ARGV[at], ARGV[at])[1]
    local link = type(entry) == 'table' and entry[2][ENTRY_LINK]
    links[at - 1] = link or ''
end
return { fields[1] or '', fields[2] or '', type(tombstone) == 'string' and tombstone or '', links }
