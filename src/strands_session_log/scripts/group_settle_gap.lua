-- Settles a gap of a group in one partition: what is gone from the feed is passed over, or read from the sessions.
--
-- KEYS: group; ARGV: 1 catch_up or skip
--
-- Returns the gap, as two ids; '' if there is none (any more).
--
-- Work that is under way is not lost: what is read now begins where that did. Its name is another one, by which whoever
-- is at the old one knows that it is over (group_work.lua).
local call = redis.call
local group = KEYS[1]
local gap = gap_or_none(call('HGET', group, 'gap'))
if gap ~= '' and ARGV[1] == 'catch_up' then
    local from, to = string.match(gap, '^(%d+)%-%d+ (%d+)%-%d+$')
    from, to = tonumber(from), tonumber(to)
    local work, work_from, work_to = backfill_of(call('HGET', group, 'backfill'))
    if work == 'history' then from = 0 end
    if work_from then from, to = math.min(from, work_from), math.max(to, work_to) end
    call('HSET', group, 'backfill', between(from, to, work))
    call('HDEL', group, 'backfill_cursor', 'backfill_attempts')
end
call('HDEL', group, 'gap')
return gap
