-- Notes that a consumer is there, and reads what is noted of the group.
--
-- KEYS: group; ARGV: 1 the consumer's field, 2 what to note
--
-- Returns the fields of the group's hash.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGETALL', KEYS[1])
