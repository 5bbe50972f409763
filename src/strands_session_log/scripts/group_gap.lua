-- A gap was heard of: what is missing is read from the sessions, or it is left at that.
--
-- KEYS: group
-- ARGV: 1 'catch_up' or 'skip', 2 and 3 the gap
--
-- Returns 1, or 0 when all history is being read and what is missing has to wait for that.
local call = redis.call
local group, after, before = KEYS[1], ARGV[2], ARGV[3]
local noted = call('HMGET', group, 'gap', 'backfill')
local gap, work, from, to = gap_or_none(noted[1]), backfill_of(noted[2])
if ARGV[1] == 'skip' then
    -- It may have grown since.
    local _, last = gap_of(gap)
    last = last or before
    if sequence_of(last) > sequence_of(before) then
        call('HSET', group, 'gap', beside(before, -1) .. ' ' .. last)
    else
        call('HDEL', group, 'gap')
    end
    return 1
end
if work == 'history' then return 0 end
local first, last = string.match(widened(gap, after, before), '^(%d+)%-%d+ (%d+)%-%d+$')
first, last = tonumber(first), tonumber(last)
if from then first, last = math.min(first, from), math.max(last, to) end
call('HSET', group, 'backfill', between(first, last, work))
call('HDEL', group, 'gap', 'backfill_cursor', 'backfill_attempts')
return 1
