#!lua flags=allow-oom
-- Has parked events of one partition tried again, or forgets them.
-- uses: lib/error_texts
--
-- ARGV: 1 replay or drop, 2 group, then the ids of the entries; those that are not there are left out
--
-- Returns how many.
local call = redis.call
local parked, replay, texts = unpack(KEYS)
local is_drop, name = ARGV[1] == 'drop', ARGV[2]
-- Fails here, before anything is written, where there is something else.
local last = call('ZRANGE', replay, -1, -1, 'WITHSCORES')
local place, settled = tonumber(last[2] or 0), 0
for at = 3, #ARGV do
    local id = ARGV[at]
    if is_drop then
        forget_text(texts, name, parked, id)
        settled = settled + call('XDEL', parked, id)
        call('ZREM', replay, id)
    elseif #call('XRANGE', parked, id, id) > 0 then
        settled, place = settled + 1, place + 1
        call('ZADD', replay, 'NX', place, id)
    end
end
return settled
