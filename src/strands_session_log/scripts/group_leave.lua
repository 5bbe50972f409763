-- A consumer leaves one partition: its lease is free, and so is what is to be read beside the feed, nothing is heard of it
-- any more, and its name goes if nothing is pending under it.
--
-- KEYS: feed, group; ARGV: 1 group, 2 consumer
local call = redis.call
local feed, group, consumer = KEYS[1], KEYS[2], ARGV[2]
if call('HGET', group, 'lease_owner') == consumer then call('HDEL', group, 'lease_owner', 'lease_until') end
if call('HGET', group, 'backfill_owner') == consumer then call('HDEL', group, 'backfill_owner', 'backfill_owner_until') end
call('HDEL', group, 'heartbeat:' .. consumer)
local pending = redis.pcall('XPENDING', feed, ARGV[1], '-', '+', 1, consumer)
if pending.err or #pending > 0 then return 0 end
call('XGROUP', 'DELCONSUMER', feed, ARGV[1], consumer)
call('HDEL', group, 'taken_over:' .. consumer)
return 1
