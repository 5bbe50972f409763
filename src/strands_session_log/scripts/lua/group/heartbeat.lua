#!lua flags=allow-oom
-- A consumer of an ordered group says that it is there, and hears how many are.
-- uses: lib/group, lib/time
--
-- KEYS: group, in partition 0
-- ARGV: 1 consumer, 2 after how many ms without a sign of life one counts as gone, 3 and after how many its name is forgotten
--
-- Returns how many there are, this one among them.
local call, now = redis.call, now_ms()
local group, consumer, gone_after, forgotten_after = KEYS[1], unpack(ARGV)
call('HSET', group, HEARTBEAT .. consumer, now)
local there, fields = 0, call('HGETALL', group)
for at = 1, #fields, 2 do
    if string.sub(fields[at], 1, #HEARTBEAT) == HEARTBEAT then
        local silent = heard_of(group, fields[at], fields[at + 1], now)
        if not silent or silent > tonumber(forgotten_after) then call('HDEL', group, fields[at])
        elseif silent < tonumber(gone_after) then there = there + 1 end
    end
end
return there
