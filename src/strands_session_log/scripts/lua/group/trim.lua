#!lua flags=allow-oom
-- Trims a feed to what is still needed, within a hard cap; a part of it where that is much.
-- uses: lib/feed_ids, lib/gap, lib/group, lib/time
--
-- KEYS: feed, then the hash of each group that is on it (one slot)
-- ARGV: 1 for how many ms envelopes are kept in any case, 2 and for how many at most, 3 how many there may be
--       4 after how many ms without a consumer a group no longer counts, 5 '=' or '~': exactly, or by whole nodes
--       then the name of each group, in the order of the keys
--
-- Returns {how many were removed, whether there may be more to remove, {abandoned group, ...}, {group that lost something,
-- how much, ...}}; or {-1} when there are other groups, and the caller has to look again.
local call = redis.call
local feed, FIRST = KEYS[1], 6
local keep, at_most, length, patience, exactly = unpack(ARGV, 1, FIRST - 1)
keep, at_most, length, patience = tonumber(keep), tonumber(at_most), tonumber(length), tonumber(patience)
if call('EXISTS', feed) == 0 then return { 0, 0, {}, {} } end
local now = now_ms()

local hashes = {}
for at = FIRST, #ARGV do hashes[ARGV[at]] = KEYS[at - FIRST + 2] end

-- What does each group still need? ---------------------------------------------------------------------------------
local groups, abandoned, needed = {}, {}, nil
for _, info in ipairs(call('XINFO', 'GROUPS', feed)) do
    local group = named(info)
    local name = group['name']
    if not hashes[name] then return { -1 } end
    local idle = heard_of(hashes[name], 'last_read', call('HGET', hashes[name], 'last_read'), now)
    for _, row in ipairs(call('XINFO', 'CONSUMERS', feed, name)) do
        local consumer = named(row)
        local beat = HEARTBEAT .. consumer['name']
        -- To XINFO, all are new when the server is.
        local silent = heard_of(hashes[name], beat, call('HGET', hashes[name], beat), now) or consumer['idle']
        if not idle or silent < idle then idle = silent end
        if consumer['pending'] == 0 and silent > patience then
            call('XGROUP', 'DELCONSUMER', feed, name, consumer['name'])
            call('HDEL', hashes[name], 'taken_over:' .. consumer['name'], beat)
        end
    end
    local delivered = group['last-delivered-id']
    local from = beside(delivered, 1)
    if group['pending'] > 0 then from = call('XPENDING', feed, name)[2] end
    groups[#groups + 1] = { name, delivered, from }
    if idle and idle > patience then
        if call('HSETNX', hashes[name], 'abandoned', now) == 1 then abandoned[#abandoned + 1] = name end
    else
        call('HDEL', hashes[name], 'abandoned')
        if not needed or stands_before(from, needed) then needed = from end
    end
end

-- What is removed ---------------------------------------------------------------------------------------------------
local least = string.format('%.0f-0', math.max(0, now - keep))
if needed and stands_before(needed, least) then least = needed end
local oldest = string.format('%.0f-0', math.max(0, now - at_most))
if stands_before(least, oldest) then least = oldest end
-- Whole nodes first, and not too many at once. Exactly is what is left of one.
local function trim(how, threshold)
    local removed = call('XTRIM', feed, how, '~', threshold, 'LIMIT', 10000)
    if exactly == '=' and removed == 0 then return call('XTRIM', feed, how, '=', threshold), false end
    return removed, removed > 0
end

local removed, has_more = trim('MINID', least)
if call('XLEN', feed) > length then
    local over, is_over = trim('MAXLEN', length)
    removed, has_more = removed + over, has_more or is_over
end
local first = call('XRANGE', feed, '-', '+', 'COUNT', 1)[1]
local begins = first and first[1] or named(call('XINFO', 'STREAM', feed))['last-generated-id']

-- Who lost something? What was delivered and is still being handled, its consumer has; what was not, is a gap. ----------
local lost = {}
for _, group in ipairs(groups) do
    local name, delivered = group[1], group[2]
    local missing = sequence_of(begins) - sequence_of(delivered) - (first and 1 or 0)
    if removed > 0 and missing > 0 then
        local before = first and begins or beside(begins, 1)
        note_gap(hashes[name], delivered, before)
        lost[#lost + 1] = name
        lost[#lost + 1] = missing
    end
end
return { removed, has_more and 1 or 0, abandoned, lost }
