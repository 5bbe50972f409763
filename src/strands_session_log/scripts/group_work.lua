-- How far the backfill has come in one partition: history that is read from the sessions, parked events that are tried
-- again.
--
-- KEYS: group, parked, replay (one slot)
-- ARGV: 1 consumer, 2 for how many ms it goes on, 3 which backfill: history, between two times, or replay
--       4 how far it is ('' for no news), 5 'done' when it is finished, 'released' when this consumer goes, 'failed' when
--         it does so for an error, or ''
--       6 ids of parked entries that are settled, and 7 of those that stay parked, separated by spaces; then entries to
--         park: 18 fields and values each
--
-- Returns 1, or 0 when the backfill is another consumer's now, or another one (group_gap.lua); then nothing was written.
local call = redis.call
local group, parked, replay = KEYS[1], KEYS[2], KEYS[3]
local kind, cursor, ending = ARGV[3], ARGV[4], ARGV[5]
local state = call('HMGET', group, 'backfill_owner', 'backfill')
if state[1] ~= ARGV[1] then return 0 end
if kind ~= 'replay' and state[2] ~= kind then
    -- Who leaves what is over leaves what has taken its place to others.
    if ending ~= '' and ending ~= 'done' then call('HSET', group, 'backfill_owner_until', 0) end
    return 0
end
call('HSET', group, 'backfill_owner_until', now_ms() + tonumber(ARGV[2]))
for at = 8, #ARGV, 18 do
    call('XADD', parked, '*', unpack(ARGV, at, at + 17))
    count(group, 'parked_total')
end
if cursor ~= '' and kind ~= 'replay' then call('HSET', group, 'backfill_cursor', cursor, 'backfill_attempts', 0) end
for id in string.gmatch(ARGV[6], '%S+') do
    call('XDEL', parked, id)
    call('ZREM', replay, id)
end
-- What somebody else has put there is no id of an entry.
for id in string.gmatch(ARGV[7], '%S+') do call('ZREM', replay, id) end
if ARGV[6] ~= '' or ARGV[7] ~= '' then call('HSET', group, 'backfill_attempts', 0) end
if ending == 'released' then call('HSET', group, 'backfill_attempts', 0) end
if ending == 'done' then call('HDEL', group, 'backfill', 'backfill_cursor', 'backfill_attempts') end
return 1
