-- Asks a feed where it goes on: its count may be lost, or restored from a backup without the feed or the other way round.

local function ask_feed(place)
    -- here: lib/feed_end, lib/feed_ids
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
