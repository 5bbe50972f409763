-- Adds what others have appended to the hash of a session's newest event ids.
--
-- KEYS: head, ids (one slot)
-- ARGV: 1 up to which id the hash goes, and 2 the link there, as the caller knows it; '' to begin it anew;
--       3 and 4 the same once this is added; 5 how many ids it has at least; then event id, id, ...
--
-- Returns whether it goes that far now; it does not when somebody else was quicker, or where there is no session.
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('UNLINK', KEYS[2])
    return 0
end
if ARGV[1] == '' then
    redis.call('UNLINK', KEYS[2])
else
    local known = redis.call('HMGET', KEYS[2], 'upto', 'link')
    if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 0 end
end
local flat = { 'upto', ARGV[3], 'link', ARGV[4] }
for at = 6, #ARGV, 2 do
    flat[#flat + 1] = 'event:' .. ARGV[at]
    flat[#flat + 1] = ARGV[at + 1]
end
for from = 1, #flat, 1000 do redis.call('HSET', KEYS[2], unpack(flat, from, math.min(from + 999, #flat))) end
forget_oldest(KEYS[2], tonumber(ARGV[5]))
return 1
