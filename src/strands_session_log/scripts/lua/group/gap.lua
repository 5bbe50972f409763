#!lua flags=allow-oom
-- A gap of a group in one partition is noted, or settled: what is gone from the feed is passed over, or read from the sessions.
-- uses: lib/feed_ids, lib/gap
--
-- ARGV: 1 missing: are envelopes gone that one consumer did not see, or have others of its group had them? skip or catch_up: a
--       gap is settled
--       2 and 3 the ids around it; without them, all that is noted is settled
--
-- Returns the gap: of what is missing, with what was noted; '' where nothing is, or where all history is being read and
-- a gap that a consumer heard of has to wait for that.
--
-- Work that is under way is not lost: what is read now begins where that did. Its name is another one, by which whoever
-- is at the old one knows that it is over (group/work.lua).
local call = redis.call
local group, feed = unpack(KEYS)
local what, after, before = unpack(ARGV)
local noted = call('HMGET', group, 'gap', 'checkpoint', 'backfill')
local gap, checkpoint, work, from, to = gap_or_none(noted[1]), id_or_nil(noted[2]), backfill_of(noted[3])

-- The first envelope up to the one that the consumer has, unless all that was appended before it was seen or settled.
local function first_behind_gap()
    local first = first_after(feed, after, before)
    for _ = 1, MOST_FOREIGN do
        if not first or is_envelope(first[2]) then break end
        first = first_after(feed, first[1], before)
    end
    -- What others have settled may be trimmed already.
    local last = math.max(sequence_of(after), checkpoint and sequence_of(checkpoint) or 0)
    return first and is_envelope(first[2]) and not follows(feed, last, first[1]) and first[1]
end

if what == 'missing' then
    local first = first_behind_gap()
    if first then return note_gap(group, after, first, gap) end
    return work and '' or gap
end

local is_heard = after ~= nil
if not is_heard then after, before = gap_of(gap) end
if not after then
    call('HDEL', group, 'gap')
    return ''
end
if what == 'catch_up' then
    if work == 'history' then
        if is_heard then return '' end
        from = 0
    end
    local first, last = string.match(widened(gap, after, before), '^(%d+)%-%d+ (%d+)%-%d+$')
    first, last = math.min(tonumber(first), from or math.huge), math.max(tonumber(last), to or 0)
    call('HSET', group, 'backfill', between(first, last, work))
    call('HDEL', group, 'gap', 'backfill_cursor', 'backfill_attempts')
    return after .. ' ' .. before
end
-- It may have grown since.
local _, last = gap_of(gap)
if last and sequence_of(last) > sequence_of(before) then
    call('HSET', group, 'gap', beside(before, -1) .. ' ' .. last)
else
    call('HDEL', group, 'gap')
end
return after .. ' ' .. before
