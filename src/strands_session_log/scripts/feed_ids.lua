-- What the scripts about groups have in common; it stands before them. Ids of a feed are `<ms>-<sequence>`, and a gap is
-- two of them: what is missing is after the one and before the other. What others have written into a group's keys may be
-- anything: it is read here, and what is none counts as absent.
local HEARTBEAT = 'heartbeat:'
-- A time that is noted comes from the server's own clock, so it is never ahead of it by more than this, unless the clock
-- went back, or another server with another clock took over. How long ago it was, nobody can tell then.
local AHEAD = 1000

local function now_ms()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function sequence_of(id)
    return tonumber(string.match(id, '%d+$'))
end

-- Numbers of up to 15 digits are exact in Lua; milliseconds have 13.
local function is_id(text)
    local ms, sequence = string.match(text or '', '^(%d+)%-(%d+)$')
    return ms and #ms <= 15 and #sequence <= 15
end

local function id_or_nil(text)
    return is_id(text) and text or nil
end

-- No envelope has the sequence 0.
local function beside(id, by)
    local ms, sequence = string.match(id, '^(%d+)%-(%d+)$')
    return ms .. '-' .. string.format('%.0f', math.max(0, tonumber(sequence) + by))
end

local function gap_of(text)
    local after, before = string.match(text or '', '^(%d+%-%d+) (%d+%-%d+)$')
    if after and #text <= 83 then return after, before end
end

local function gap_or_none(text)
    return gap_of(text) and text or ''
end

-- The gap that has both in it.
local function widened(gap, after, before)
    local first, last = gap_of(gap)
    if first and sequence_of(first) < sequence_of(after) then after = first end
    if last and sequence_of(last) > sequence_of(before) then before = last end
    return after .. ' ' .. before
end

-- What is to be read from the sessions: `history`, or `between` two times, which come as numbers, too.
local function backfill_of(text)
    if text == 'history' then return text end
    local from, to = string.match(text or '', '^between (%d+) (%d+)$')
    if from and #from <= 15 and #to <= 15 then return text, tonumber(from), tonumber(to) end
end

-- What reading between two times is called while other work is noted, or none. By a name that is not noted whoever is at
-- that work knows that it begins anew (group_work.lua).
local function between(from, to, noted)
    local name = string.format('between %.0f %.0f', from, to)
    return name ~= noted and name or string.format('between %.0f %.0f', from, to + 1)
end

local function is_ahead(noted, now)
    return (tonumber(noted) or 0) > now + AHEAD
end

-- For how many ms something goes on that lasts `most` ms. Where it seems to last longer, it does so from now on.
local function remaining(group, field, till, now, most)
    local left = (tonumber(till) or 0) - now
    if left > most then
        redis.call('HSET', group, field, now + most)
        return most
    end
    return left > 0 and left or 0
end

-- For how many ms nothing was heard, by the time that a field has; nil if it has none. Of a time to come, it counts from
-- now on.
local function heard_of(group, field, noted, now)
    local at = tonumber(noted)
    if not at then return nil end
    if not is_ahead(noted, now) then return math.max(0, now - at) end
    redis.call('HSET', group, field, now)
    return 0
end

-- What is no number, or the largest, is counted anew: that it changes is what matters.
local function count(key, field)
    local counted = redis.pcall('HINCRBY', key, field, 1)
    if type(counted) == 'number' then return counted end
    local is_junk = string.find(counted.err, 'integer') or string.find(counted.err, 'overflow')
    return redis.call(unpack(is_junk and { 'HSET', key, field, 1 } or { 'HINCRBY', key, field, 1 }))
end

-- What XINFO answers, by name.
local function named(flat)
    local fields = {}
    for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
    return fields
end

-- The last id that a group was given; nil when there is no such group.
local function delivered_to(feed, name)
    if redis.call('EXISTS', feed) == 0 then return nil end
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', feed)) do
        local group = named(info)
        if group['name'] == name then return group['last-delivered-id'] end
    end
end

-- The first entry that follows an id; after the largest there is, nothing can.
local function first_after(feed, id, last)
    local found = redis.pcall('XRANGE', feed, '(' .. id, last or '+', 'COUNT', 1)
    if found.err and not string.find(found.err, 'interval') then return redis.call('XRANGE', feed, '(' .. id, '+') end
    return found[1]
end

-- What others have written to a feed may have any number, so that nothing follows from it.
local MOST_FOREIGN = 100

local function is_envelope(fields)
    return #fields == 12 and fields[1] == 'session'
end

-- Whether an id stands before another in the stream, whatever their numbers are.
local function stands_before(one, other)
    local ms, sequence = string.match(one, '^(%d+)%-(%d+)$')
    local other_ms, other_sequence = string.match(other, '^(%d+)%-(%d+)$')
    if tonumber(ms) ~= tonumber(other_ms) then return tonumber(ms) < tonumber(other_ms) end
    return tonumber(sequence) < tonumber(other_sequence)
end

-- Whether no number is missing between the last that is known and an entry that follows. Where others have written
-- between, what stands before that tells.
local function follows(feed, last, id)
    local number = sequence_of(id)
    if number <= last + 1 then return true end
    for _, entry in ipairs(redis.call('XREVRANGE', feed, '(' .. id, '-', 'COUNT', MOST_FOREIGN)) do
        if sequence_of(entry[1]) == number - 1 then return true end
    end
    return false
end

-- Puts a delivery aside, with what the feed says of it: the id there, and what that is; nothing when that is gone.
local function put_aside(feed, group, parked, name, id, attempts, why)
    local entry = redis.call('XRANGE', feed, id, id)[1]
    if not entry then return end
    local fields = { 'XADD', parked, '*' }
    -- Of an entry that somebody else wrote, so much as an envelope has; no envelope is as large.
    for at = 1, math.min(12, #entry[2]) do fields[#fields + 1] = string.sub(entry[2][at], 1, 65536) end
    for _, value in ipairs({ 'feed_id', id, 'attempts', attempts, 'error', why }) do fields[#fields + 1] = value end
    local parked_id = redis.call(unpack(fields))
    redis.call('XACK', feed, name, id)
    redis.call('HDEL', group, 'error:' .. id)
    count(group, 'parked_total')
    return parked_id, entry[2]
end
