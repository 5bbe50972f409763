#!lua flags=allow-oom
-- How far the backfill has come in one partition: history that is read from the sessions, parked events that are tried
-- again.
-- uses: lib/error_texts, lib/park, lib/time
--
-- KEYS: group, parked, replay, texts; then for each entry to park that has a text, its session's events (one slot)
-- ARGV: 1 consumer, 2 for how many ms it goes on, 3 which backfill: history, between two times, or replay
--       4 how far it is ('' for no news), 5 'done' when it is finished, 'released' when this consumer goes, 'failed' when
--         it does so for an error, or ''
--       6 ids of parked entries that are settled, and 7 of those that stay parked, separated by spaces; 8 group; then
--         entries to park: 18 fields and values each, and a text, which may quote content
--
-- Returns 1, or 0 when the backfill is another consumer's now, or another one (group/gap.lua); then nothing was written.
local call = redis.call
local group, parked, replay, texts = unpack(KEYS)
local consumer, lease, kind, cursor, ending, settled, staying, name = unpack(ARGV, 1, 8)
local FIRST, FIELDS, SESSION, EVENT = 9, 18, 1, 3
local state = call('HMGET', group, 'backfill_owner', 'backfill')
if state[1] ~= consumer then return 0 end
if kind ~= 'replay' and state[2] ~= kind then
    -- Who leaves what is over leaves what has taken its place to others.
    if ending ~= '' and ending ~= 'done' then call('HSET', group, 'backfill_owner_until', 0) end
    return 0
end
call('HSET', group, 'backfill_owner_until', now_ms() + tonumber(lease))
local sessions = 4
for at = FIRST, #ARGV, FIELDS + 1 do
    local id, text = add_to_parked(group, parked, unpack(ARGV, at, at + FIELDS - 1)), ARGV[at + FIELDS]
    if text ~= '' then
        sessions = sessions + 1
        keep_text(texts, KEYS[sessions], name, id, ARGV[at + SESSION], ARGV[at + EVENT], text)
    end
end
if cursor ~= '' and kind ~= 'replay' then call('HSET', group, 'backfill_cursor', cursor, 'backfill_attempts', 0) end
for id in string.gmatch(settled, '%S+') do
    forget_text(texts, name, parked, id)
    call('XDEL', parked, id)
    call('ZREM', replay, id)
end
-- What somebody else has put there is no id of an entry.
for id in string.gmatch(staying, '%S+') do call('ZREM', replay, id) end
if settled ~= '' or staying ~= '' then call('HSET', group, 'backfill_attempts', 0) end
if ending == 'released' then call('HSET', group, 'backfill_attempts', 0) end
if ending == 'done' then call('HDEL', group, 'backfill', 'backfill_cursor', 'backfill_attempts') end
return 1
