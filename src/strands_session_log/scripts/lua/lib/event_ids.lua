-- The hash of a session's newest event ids. Now and then all that is too old goes at once, so it has between once and twice as
-- many as it must.

local function event_field(event)
    return 'event:' .. event
end

local function forget_oldest(ids, kept)
    if redis.call('HLEN', ids) <= 2 * kept then return end
    local revision = tonumber(string.match(redis.call('HGET', ids, 'upto'), '%d+$'))
    local flat = redis.call('HGETALL', ids)
    for at = 1, #flat, 2 do
        local of_event = string.sub(flat[at], 1, 6) == 'event:' and tonumber(string.match(flat[at + 1], '%d+$'))
        if of_event and of_event <= revision - kept then redis.call('HDEL', ids, flat[at]) end
    end
end

-- Fields and values: the ids of some events, which go up to where `upto` and `link` say.
local function add_event_ids(ids, flat, kept)
    for from = 1, #flat, 1000 do redis.call('HSET', ids, unpack(flat, from, math.min(from + 999, #flat))) end
    forget_oldest(ids, kept)
end
