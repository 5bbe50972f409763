-- Adds envelopes to the feed of a partition; this stands before the scripts that do.
--
-- The feed's sequence is counted in a key of its own. That may be lost, or restored from a backup without the feed or
-- the other way round; then, and when the clock went back, the feed is asked. Not its newest entry, which may have been
-- deleted: a stream refuses ids up to the last it ever had. A feed that is gone goes on where it was.
--
-- `length` is that of the feed, asked before the first write, where a feed that is none must fail. `envelopes` has the
-- session, id, type, agent, link and facts of each. Returns whether the feed and its count agreed, which they do not
-- where either begins anew: the server may have lost more than that.
local function append_to_feed(feed, position, length, now, envelopes)
    local call, count, feed_ms, agreed = redis.call, #envelopes, now, true
    local counted = redis.pcall('INCRBY', position, count)
    local sequence = type(counted) == 'number' and counted - count or 0

    local function ask_feed()
        local info = call('EXISTS', feed) == 1 and call('XINFO', 'STREAM', feed) or {}
        for at = 1, #info, 2 do
            -- A feed made anew, empty, goes on where the one before ended.
            if info[at] == 'last-generated-id' and info[at + 1] ~= '0-0' then
                local last_ms, last = string.match(info[at + 1], '^(%d+)-(%d+)$')
                feed_ms, sequence = math.max(now, tonumber(last_ms)), tonumber(last)
            end
        end
        call('SET', position, sequence + count)
        agreed = false
    end

    -- As long as nobody trims the feed, its length tells that the count is right; after that its newest entry.
    if sequence == 0 or sequence ~= length then
        local newest = call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
        if not newest or string.match(newest[1], '%d+$') ~= tostring(sequence) then ask_feed() end
    end
    local number, refused = 1, false
    while number <= count do
        local one = envelopes[number]
        local told = redis.pcall('XADD', feed, feed_ms .. '-' .. sequence + number, 'session', one[1], 'id', one[2],
            'type', one[3], 'agent', one[4], 'link', one[5], 'facts', one[6])
        if type(told) ~= 'table' then
            number = number + 1
        elseif refused then
            error(told)
        else
            refused = true
            ask_feed()
        end
    end
    return agreed
end
