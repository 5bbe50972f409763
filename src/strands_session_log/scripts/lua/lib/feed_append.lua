-- Adds envelopes to the feed of a partition.
--
-- The feed's sequence is counted in a key of its own. That may be lost, or restored from a backup without the feed or
-- the other way round; then, and when the clock went back, the feed is asked. Not its newest entry, which may have been
-- deleted: a stream refuses ids up to the last it ever had. A feed that is gone goes on where it was.

-- Where so many envelopes are to stand, at a time in milliseconds, as text. Before anything else is written: a feed that
-- is none fails here. Whether feed and count `agreed`: they do not where either begins anew, and then more may be lost.
local function place_in_feed(feed, position, length, now, count)
    local counted = redis.pcall('INCRBY', position, count == 1 and '1' or count)
    local sequence = type(counted) == 'number' and counted >= count and counted < 1e14 and counted - count or 0
    local place = { feed = feed, position = position, ms = now, sequence = sequence, left = count, agreed = true }
    -- As long as nobody trims the feed, its length tells that the count is right; after that its newest entry.
    if sequence == 0 or sequence ~= length then
        local newest = redis.call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
        if not newest or string.match(newest[1], '%d+$') ~= tostring(sequence) then
            -- here: lib/feed_ask
            ask_feed(place)
        end
    end
    return place
end

local function add_to_feed(place, session, id, type_, agent, link, facts)
    local told
    for attempt = 1, 2 do
        local number = place.sequence + 1
        -- Written by the format it takes half of what it takes to write out a number that may be none that is whole.
        told = redis.pcall('XADD', place.feed, string.format('%s-%d', place.ms, number), 'session', session, 'id', id,
            'type', type_, 'agent', agent, 'link', link, 'facts', facts)
        if type(told) ~= 'table' then
            place.sequence, place.left = number, place.left - 1
            return
        end
        if attempt == 1 then
            -- here: lib/feed_ask
            ask_feed(place)
        end
    end
    error(told)
end
