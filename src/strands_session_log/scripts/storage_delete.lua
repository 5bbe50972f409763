-- Removes a value and its key's line in the listing of the partition; what is not there is no error.
--
-- KEYS: value, listing (one slot)
-- ARGV: 1 key
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('UNLINK', KEYS[1])
