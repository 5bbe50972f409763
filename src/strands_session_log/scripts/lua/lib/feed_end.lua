-- Where a feed ends, and whether it is one.

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

-- For scripts that change a session and then append: it must not be the feed or the directory that fails there, when half
-- is done. Fails here, with the words of the server or of `end_of`.
local function check_feed_is_usable(feed, sessions, session)
    redis.call('ZSCORE', sessions, session)
    end_of(feed)
end
