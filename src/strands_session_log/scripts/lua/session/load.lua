-- Reads a session in one round trip: the newest point of its snapshot, and the events that follow.
--
-- ARGV: 1 the last event to read, as XRANGE takes it; 2 its ms and 3 its revision, both '' for no end
--       4 how many events at most, 5 and roughly how many bytes of them; 6 how many bytes of segments at most
--
-- Returns {} without a head, else {erased, points, point, manifest, {name, segment, ...}, {event, ...}, more}: the head's
-- erased ranges; the points there are, and the one that was taken ('' if none), whose event comes first; and whether
-- there are more events than those. Segments that are left out are fetched when they are needed.
local PAGE = 64
-- More than is ever stored: what is larger is none of ours, and the server does nothing else while it looks at it.
local MOST_LISTED, MOST_MANIFEST, MOST_NEEDED = 65536, 33554432, 2048
local events, head, snapshot = unpack(KEYS)
local last, last_ms, last_revision, most, most_bytes, most_segments = unpack(ARGV)
local revision, erased = unpack(redis.call('HMGET', head, 'revision', 'erased'))
if not revision then return {} end

-- Whatever somebody has put there instead is no snapshot.
local length = redis.pcall('HSTRLEN', snapshot, 'points')
local known = type(length) == 'number' and length <= MOST_LISTED and redis.call('HGET', snapshot, 'points') or ''
last_ms, last_revision = tonumber(last_ms) or math.huge, tonumber(last_revision) or math.huge
local point = ''
for ms, number in string.gmatch(known, '(%d+)%-(%d+)') do
    local is_before = tonumber(ms) < last_ms or tonumber(ms) == last_ms and tonumber(number) <= last_revision
    if #ms <= 16 and #number <= 16 and is_before then point = ms .. '-' .. number end
end

local manifest, segments = '', {}
if point ~= '' then
    if redis.call('HSTRLEN', snapshot, 'point:' .. point) <= MOST_MANIFEST then
        manifest = redis.call('HGET', snapshot, 'point:' .. point) or ''
    end
    local needs = ''
    if redis.call('HSTRLEN', snapshot, 'needs:' .. point) <= MOST_LISTED then
        needs = redis.call('HGET', snapshot, 'needs:' .. point) or ''
    end
    local bytes, left = 0, MOST_NEEDED
    for name in string.gmatch(needs, '%S+') do
        bytes, left = bytes + redis.call('HSTRLEN', snapshot, 'segment:' .. name), left - 1
        if bytes > tonumber(most_segments) or left < 0 then break end
        segments[#segments + 1] = name
        segments[#segments + 1] = redis.call('HGET', snapshot, 'segment:' .. name) or ''
    end
end

local BODY, SMALL = 22, 256
local entries, bytes, start, more = {}, 0, point == '' and '-' or point, true
most, most_bytes = tonumber(most), tonumber(most_bytes)
while more and #entries < most and bytes < most_bytes do
    -- A page as long as the last one's entries let hope for, so that large ones do not come by the dozen.
    local page = #entries == 0 and 1 or math.max(1, math.min(PAGE, math.floor((most_bytes - bytes) * #entries / bytes)))
    local found = redis.call('XRANGE', events, start, last, 'COUNT', page)
    for _, entry in ipairs(found) do
        entries[#entries + 1] = entry
        bytes = bytes + SMALL + #(entry[2][BODY] or '')
        start = '(' .. entry[1]
    end
    more = #found == page
end
return { erased or '', known, point, manifest, segments, entries, more and 1 or 0 }
