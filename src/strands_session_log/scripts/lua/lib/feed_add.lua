-- Adds an envelope to the feed of a partition, where lib/feed_place.lua has found that it goes on. To be put in place.
local told
for attempt = 1, 2 do
    -- Written by the format it takes half of what it takes to write out a number that may be none that is whole.
    told = redis.pcall('XADD', feed, string.format('%s-%d', feed_ms, sequence + 1), 'session', session, 'id', id,
        'type', type_, 'agent', agent, 'link', its_link, 'facts', facts)
    if type(told) ~= 'table' then
        sequence, left = sequence + 1, left - 1
        break
    end
    if attempt == 2 then error(told) end
    -- here: lib/feed_ask
    feed_ms, sequence, agreed = ask_feed(feed, position, feed_ms, sequence, left, agreed)
end
