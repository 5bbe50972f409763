-- For scripts that change a session and then fall through to append.lua: it must not be the feed or the directory that
-- fails there, when half is done. Fails here, with the words of the server or of append.lua.
local function check_feed_is_usable(feed, sessions, session)
    redis.call('ZSCORE', sessions, session)
    if redis.call('XLEN', feed) == 0 and redis.call('EXISTS', feed) == 0 then return end
    local info = redis.call('XINFO', 'STREAM', feed)
    for at = 1, #info, 2 do
        local ms, sequence = string.match(info[at] == 'last-generated-id' and info[at + 1] or '', '^(%d+)-(%d+)$')
        if ms and (#ms > 14 or #sequence > 14) then
            error(redis.error_reply('BADFEED ' .. feed .. ' ends with ' .. info[at + 1] .. ': nothing can follow'))
        end
    end
end
