-- Lets a session begin with a copy of another one's events: puts the copy into place and calls append.lua, which stands
-- before this file in the same script and appends the `session.forked` event. Both happen, or neither.
--
-- KEYS: events, head, feed, sessions, position, copy, snapshot, live, tombstones (one slot)
-- ARGV: what append.lua takes, to follow the copy's last event; and last, as JSON:
--       count    how many events the copy has
--       head     the fields of the head, by name
--
-- Returns {'landed', link, id...}; {'exists'} when there is such a session; {'lost'} when the copy is not whole: it has
-- expired, or an erasure has taken it away.
local fork = cjson.decode(table.remove(ARGV))

local function is_whole()
    local last = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
    return last and last[1] == ARGV[3] and last[2][ENTRY_LINK] == ARGV[2] and redis.call('XLEN', KEYS[6]) == fork.count
end

if not this_landed(KEYS[1]) then
    if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return { 'exists' } end
    if not is_whole() then return { 'lost' } end
    check_feed_is_usable(KEYS[3], KEYS[4], ARGV[4])
    -- Whose id it had before, as append.lua notes it of a session that begins with an event of its own.
    fork.head.predecessor = (predecessor_in(redis.call('HGET', KEYS[9], redis.sha1hex(ARGV[4]))))
    -- First a write that the server may refuse for want of memory; once it is done, none is.
    for field, value in pairs(fork.head) do redis.call('HSET', KEYS[2], field, value) end
    redis.call('PERSIST', KEYS[6])
    redis.call('UNLINK', KEYS[7], KEYS[8])
    redis.call('RENAME', KEYS[6], KEYS[1])
end
return append()
