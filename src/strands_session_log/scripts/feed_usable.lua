-- For scripts that change a session and then fall through to append.lua: it must not be the feed or the directory that
-- fails there, when half is done. Fails here, with the words of the server or of append.lua.
local function check_feed_is_usable(feed, sessions, session)
    redis.call('ZSCORE', sessions, session)
    end_of(feed)
end
