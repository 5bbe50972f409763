-- Gives up the lease of a partition, if this consumer has it.
--
-- KEYS: group; ARGV: 1 consumer
if redis.call('HGET', KEYS[1], 'lease_owner') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'lease_owner', 'lease_until')
