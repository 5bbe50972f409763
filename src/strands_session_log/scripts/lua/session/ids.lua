-- Adds what others have appended to the hash of a session's newest event ids.
-- uses: lib/event_ids
--
-- ARGV: 1 up to which id the hash goes, and 2 the link there, as the caller knows it; '' to begin it anew;
--       3 and 4 the same once this is added; 5 how many ids it has at least; then event id, id, ...
--
-- Returns whether it goes that far now; it does not when somebody else was quicker, or where there is no session.
local head, ids = unpack(KEYS)
local known_upto, known_link, upto, link, kept = unpack(ARGV, 1, 5)
if redis.call('EXISTS', head) == 0 then
    redis.call('UNLINK', ids)
    return 0
end
if known_upto == '' then
    redis.call('UNLINK', ids)
else
    local known = redis.call('HMGET', ids, 'upto', 'link')
    if known[1] ~= known_upto or known[2] ~= known_link then return 0 end
end
local flat = { 'upto', upto, 'link', link }
for at = 6, #ARGV, 2 do
    flat[#flat + 1] = event_field(ARGV[at])
    flat[#flat + 1] = ARGV[at + 1]
end
add_event_ids(ids, flat, tonumber(kept))
return 1
