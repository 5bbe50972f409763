-- Saves points of a session's snapshot: compare and advance, so that nobody moves it backwards.
--
-- ARGV: 1 the head's erased ranges, and 2 the points, as the saver knew them; 3 the points there are to be;
--       4 how many points follow; 5 whether they are authenticated, 1 or 0; each point: id, link, manifest, names of the
--       segments it needs; then name, segment, ...
--
-- Returns 1, or 0 when it was overtaken: something was erased, others have saved, a segment is gone, or the log is not
-- what was folded; and when it would take the place of what somebody with a key has saved.
local FIRST, WIDTH = 6, 4
local events, head, snapshot = unpack(KEYS)
local erased, known, points, count, is_authenticated = unpack(ARGV, 1, FIRST - 1)
local segments = FIRST + count * WIDTH

if (redis.call('HGET', head, 'erased') or '') ~= erased then return 0 end
if (redis.call('HGET', snapshot, 'points') or '') ~= known then return 0 end
if is_authenticated == '0' and redis.call('HEXISTS', snapshot, 'authenticated') == 1 then return 0 end
local given = {}
for at = segments, #ARGV, 2 do given[ARGV[at]] = true end
for at = FIRST, segments - 1, WIDTH do
    local id, its_link, _, needs = unpack(ARGV, at, at + WIDTH - 1)
    local entry = redis.call('XRANGE', events, id, id)[1]
    if not entry then return 0 end
    local link
    for field = 1, #entry[2], 2 do
        if entry[2][field] == 'link' then link = entry[2][field + 1] end
    end
    if link ~= its_link then return 0 end
    for name in string.gmatch(needs, '%S+') do
        if not given[name] and redis.call('HEXISTS', snapshot, 'segment:' .. name) == 0 then return 0 end
    end
end

for at = FIRST, segments - 1, WIDTH do
    local id, _, manifest, needs = unpack(ARGV, at, at + WIDTH - 1)
    redis.call('HSET', snapshot, 'point:' .. id, manifest, 'needs:' .. id, needs)
end
for at = segments, #ARGV, 2 do redis.call('HSET', snapshot, 'segment:' .. ARGV[at], ARGV[at + 1]) end
redis.call('HSET', snapshot, 'points', points)
if is_authenticated == '1' then redis.call('HSET', snapshot, 'authenticated', 'hmac-sha-256') end

-- What no point needs any more.
local kept = { points = true, authenticated = true }
for id in string.gmatch(points, '%S+') do
    kept['point:' .. id], kept['needs:' .. id] = true, true
    for name in string.gmatch(redis.call('HGET', snapshot, 'needs:' .. id) or '', '%S+') do kept['segment:' .. name] = true end
end
for _, field in ipairs(redis.call('HKEYS', snapshot)) do
    if not kept[field] then redis.call('HDEL', snapshot, field) end
end
return 1
