-- Adds envelopes to the feed of a partition.
-- uses: lib/feed_ids
--
-- The feed's sequence is counted in a key of its own. That may be lost, or restored from a backup without the feed or
-- the other way round; then, and when the clock went back, the feed is asked. Not its newest entry, which may have been
-- deleted: a stream refuses ids up to the last it ever had. A feed that is gone goes on where it was.

-- The last id that a feed ever had, its ms and its sequence as text; '0' and '0' of one that never had any. Fails where
-- nothing can follow.
local function end_of(feed)
    local info = redis.call('EXISTS', feed) == 1 and redis.call('XINFO', 'STREAM', feed) or {}
    for at = 1, #info, 2 do
        if info[at] == 'last-generated-id' then
            local ms, sequence = string.match(info[at + 1], '^(%d+)-(%d+)$')
            if #ms > 14 or #sequence > 14 then
                error(redis.error_reply('BADFEED ' .. feed .. ' ends with ' .. info[at + 1] .. ': nothing can follow'))
            end
            return ms, sequence
        end
    end
    return '0', '0'
end

local function ask_feed(place)
    -- Whether the count is right nevertheless, since somebody else has written behind what it counts, under lower numbers
    -- (`XADD * …`): these would be used again.
    local function is_counted(place, sequence)
        if place.sequence <= tonumber(sequence) then return false end
        local entries = redis.call('XREVRANGE', place.feed, '+', '-', 'COUNT', MOST_FOREIGN)
        local only_foreign = #entries > 0
        for _, entry in ipairs(entries) do
            if string.match(entry[1], '%d+$') == tostring(place.sequence) then return true end
            if is_envelope(entry[2]) then only_foreign = false end
        end
        -- What it counted is trimmed.
        return only_foreign
    end

    local ms, sequence = end_of(place.feed)
    if is_counted(place, sequence) then
        place.ms = tostring(math.max(tonumber(place.ms), tonumber(ms)))
        return
    end
    -- A feed made anew, empty, goes on where the one before ended.
    if ms ~= '0' or sequence ~= '0' then
        place.ms = tostring(math.max(tonumber(place.ms), tonumber(ms)))
        place.sequence = tonumber(sequence)
    end
    redis.call('SET', place.position, place.sequence + place.left)
    place.agreed = false
end

-- Where so many envelopes are to stand, at a time in milliseconds, as text. Before anything else is written: a feed that
-- is none fails here. Whether feed and count `agreed`: they do not where either begins anew, and then more may be lost.
local function place_in_feed(feed, position, length, now, count)
    local counted = redis.pcall('INCRBY', position, count == 1 and '1' or count)
    local sequence = type(counted) == 'number' and counted >= count and counted < 1e14 and counted - count or 0
    local place = { feed = feed, position = position, ms = now, sequence = sequence, left = count, agreed = true }
    -- As long as nobody trims the feed, its length tells that the count is right; after that its newest entry.
    if sequence == 0 or sequence ~= length then
        local newest = redis.call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
        if not newest or string.match(newest[1], '%d+$') ~= tostring(sequence) then ask_feed(place) end
    end
    return place
end

local function add_to_feed(place, session, id, type_, agent, link, facts)
    local told
    for attempt = 1, 2 do
        local number = place.sequence + 1
        told = redis.pcall('XADD', place.feed, string.format('%s-%d', place.ms, number), 'session', session, 'id', id,
            'type', type_, 'agent', agent, 'link', link, 'facts', facts)
        if type(told) ~= 'table' then
            place.sequence, place.left = number, place.left - 1
            return
        end
        if attempt == 1 then ask_feed(place) end
    end
    error(told)
end

-- For scripts that change a session and then append: it must not be the feed or the directory that fails there, when half
-- is done. Fails here, with the words of the server or of `end_of`.
local function check_feed_is_usable(feed, sessions, session)
    redis.call('ZSCORE', sessions, session)
    end_of(feed)
end
