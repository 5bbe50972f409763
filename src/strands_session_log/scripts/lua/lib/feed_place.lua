-- Where `count` envelopes are to stand in the `feed` of a partition, at the time `now`: at `feed_ms`, after `sequence`.
-- To be put in place, before anything else is written: a feed that is none fails here.
--
-- The feed's sequence is counted in a key of its own, `position`. That may be lost, or restored from a backup without the
-- feed or the other way round; then, and when the clock went back, the feed is asked. Not its newest entry, which may have
-- been deleted: a stream refuses ids up to the last it ever had. A feed that is gone goes on where it was. Whether feed and
-- count `agreed`: they do not where either begins anew, and then more may be lost.
local length = redis.call('XLEN', feed)
local counted = redis.pcall('INCRBY', position, count == 1 and '1' or count)
local feed_ms, sequence, left, agreed = now, 0, count, true
if type(counted) == 'number' and counted >= count and counted < 1e14 then sequence = counted - count end
-- As long as nobody trims the feed, its length tells that the count is right; after that its newest entry.
if sequence == 0 or sequence ~= length then
    local newest = redis.call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
    if not newest or string.match(newest[1], '%d+$') ~= tostring(sequence) then
        -- here: lib/feed_ask
        feed_ms, sequence, agreed = ask_feed(feed, position, feed_ms, sequence, left, agreed)
    end
end
