-- Asks a feed where it goes on: its count may be lost, or restored from a backup without the feed or the other way round.
-- At which time, after which number, and whether feed and count still agree.

local function ask_feed(feed, position, ms, sequence, left, agreed)
    -- here: lib/feed_end, lib/feed_ids
    -- Whether the count is right nevertheless, since somebody else has written behind what it counts, under lower numbers
    -- (`XADD * …`): these would be used again.
    local function is_counted(last_sequence)
        if sequence <= tonumber(last_sequence) then return false end
        local entries = redis.call('XREVRANGE', feed, '+', '-', 'COUNT', MOST_FOREIGN)
        local only_foreign = #entries > 0
        for _, entry in ipairs(entries) do
            if string.match(entry[1], '%d+$') == tostring(sequence) then return true end
            if is_envelope(entry[2]) then only_foreign = false end
        end
        -- What it counted is trimmed.
        return only_foreign
    end

    local last_ms, last_sequence = end_of(feed)
    local is_right = is_counted(last_sequence)
    -- A feed made anew, empty, goes on where the one before ended.
    if is_right or last_ms ~= '0' or last_sequence ~= '0' then
        ms = tostring(math.max(tonumber(ms), tonumber(last_ms)))
    end
    if is_right then return ms, sequence, agreed end
    if last_ms ~= '0' or last_sequence ~= '0' then sequence = tonumber(last_sequence) end
    redis.call('SET', position, sequence + left)
    return ms, sequence, false
end
