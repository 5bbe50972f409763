-- Gaps and backfills, as the hash of a group notes them; what is none counts as absent. A gap is two ids: what is missing
-- is after the one and before the other.
-- uses: lib/feed_ids

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

-- Adds to the gap that a group has noted.
local function note_gap(group, after, before, noted)
    local gap = widened(noted or redis.call('HGET', group, 'gap'), after, before)
    redis.call('HSET', group, 'gap', gap)
    return gap
end

-- What is to be read from the sessions: `history`, or `between` two times, which come as numbers, too.
local function backfill_of(text)
    if text == 'history' then return text end
    local from, to = string.match(text or '', '^between (%d+) (%d+)$')
    if from and #from <= 15 and #to <= 15 then return text, tonumber(from), tonumber(to) end
end

-- What reading between two times is called while other work is noted, or none. By a name that is not noted whoever is at
-- that work knows that it begins anew (group/work.lua).
local function between(from, to, noted)
    local name = string.format('between %.0f %.0f', from, to)
    return name ~= noted and name or string.format('between %.0f %.0f', from, to + 1)
end
