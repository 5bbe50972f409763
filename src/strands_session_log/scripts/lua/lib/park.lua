-- Parks what could not be handled.
-- uses: lib/group

local function add_to_parked(group, parked, ...)
    local id = redis.call('XADD', parked, '*', ...)
    count(group, 'parked_total')
    return id
end

-- Nobody is given a delivery any more.
local function take_off(feed, group, name, id)
    redis.call('XACK', feed, name, id)
    redis.call('HDEL', group, 'error:' .. id)
end

-- Puts a delivery aside, with what the feed says of it: the id there, and what that is; nothing when that is gone.
local function put_aside(feed, group, parked, name, id, attempts, why)
    local entry = redis.call('XRANGE', feed, id, id)[1]
    if not entry then return end
    local fields = {}
    -- Of an entry that somebody else wrote, so much as an envelope has; no envelope is as large.
    for at = 1, math.min(12, #entry[2]) do fields[#fields + 1] = string.sub(entry[2][at], 1, 65536) end
    for _, value in ipairs({ 'feed_id', id, 'attempts', attempts, 'error', why }) do fields[#fields + 1] = value end
    local parked_id = add_to_parked(group, parked, unpack(fields))
    take_off(feed, group, name, id)
    return parked_id, entry[2]
end
