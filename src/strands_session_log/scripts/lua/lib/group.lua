-- The hash of a group in one partition, and what the server tells of the group.

local HEARTBEAT = 'heartbeat:'
-- A time that is noted comes from the server's own clock, so it is never ahead of it by more than this, unless the clock
-- went back, or another server with another clock took over. How long ago it was, nobody can tell then.
local AHEAD = 1000

local function is_ahead(noted, now)
    return (tonumber(noted) or 0) > now + AHEAD
end

-- For how many ms something goes on that lasts `most` ms. Where it seems to last longer, it does so from now on.
local function remaining(group, field, till, now, most)
    local left = (tonumber(till) or 0) - now
    if left > most then
        redis.call('HSET', group, field, now + most)
        return most
    end
    return left > 0 and left or 0
end

-- For how many ms nothing was heard, by the time that a field has; nil if it has none. Of a time to come, it counts from
-- now on.
local function heard_of(group, field, noted, now)
    local at = tonumber(noted)
    if not at then return nil end
    if not is_ahead(noted, now) then return math.max(0, now - at) end
    redis.call('HSET', group, field, now)
    return 0
end

-- What is no number, or the largest, is counted anew: that it changes is what matters.
local function count(key, field)
    local counted = redis.pcall('HINCRBY', key, field, 1)
    if type(counted) == 'number' then return counted end
    local is_junk = string.find(counted.err, 'integer') or string.find(counted.err, 'overflow')
    return redis.call(unpack(is_junk and { 'HSET', key, field, 1 } or { 'HINCRBY', key, field, 1 }))
end

-- What XINFO answers, by name.
local function named(flat)
    local fields = {}
    for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
    return fields
end

-- The last id that a group was given; nil when there is no such group.
local function delivered_to(feed, name)
    if redis.call('EXISTS', feed) == 0 then return nil end
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', feed)) do
        local group = named(info)
        if group['name'] == name then return group['last-delivered-id'] end
    end
end
