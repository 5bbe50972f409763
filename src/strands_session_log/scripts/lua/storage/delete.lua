-- Removes a value and its key's line in the listing of the partition; what is not there is no error.
--
-- ARGV: 1 key, 2 the keyed hash of whom it was about, '' for nobody
local value, listing, subjects = unpack(KEYS)
redis.call('ZREM', listing, ARGV[1])
redis.call('UNLINK', value)
if ARGV[2] ~= '' then redis.call('ZREM', subjects, ARGV[2] .. ' storage ' .. ARGV[1]) end
