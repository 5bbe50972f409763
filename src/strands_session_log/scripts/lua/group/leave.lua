#!lua flags=allow-oom
-- A consumer gives up the lease of one partition. If it leaves, what is to be read beside the feed is free, too, nothing is
-- heard of it any more, and its name goes if nothing is pending under it.
-- uses: lib/group
--
-- ARGV: 1 consumer, 2 group; without it the consumer stays
local call = redis.call
local group, feed = unpack(KEYS)
local consumer, name = unpack(ARGV)
if call('HGET', group, 'lease_owner') == consumer then call('HDEL', group, 'lease_owner', 'lease_until') end
if not name then return end
if call('HGET', group, 'backfill_owner') == consumer then call('HDEL', group, 'backfill_owner', 'backfill_owner_until') end
call('HDEL', group, HEARTBEAT .. consumer)
local pending = redis.pcall('XPENDING', feed, name, '-', '+', 1, consumer)
if pending.err or #pending > 0 then return end
call('XGROUP', 'DELCONSUMER', feed, name, consumer)
call('HDEL', group, 'taken_over:' .. consumer)
