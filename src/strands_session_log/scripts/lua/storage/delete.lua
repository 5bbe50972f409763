-- Removes a value and its key's line in the listing of the partition; what is not there is no error.
--
-- ARGV: 1 key
local value, listing = unpack(KEYS)
redis.call('ZREM', listing, ARGV[1])
redis.call('UNLINK', value)
