-- Has parked events of one partition tried again, or forgets them.
--
-- KEYS: group, parked, position, texts (one slot)
-- ARGV: 1 replay or drop, 2 group, then the ids of the entries; those that are not there are left out
--
-- Returns how many.
local call = redis.call
local group, parked, is_drop = KEYS[1], KEYS[2], ARGV[1] == 'drop'
local waiting, is_waiting, settled = {}, {}, 0
for _, id in ipairs(replay_of(call('HGET', group, 'replay'))) do
    waiting[#waiting + 1] = id
    is_waiting[id] = true
end
for at = 3, #ARGV do
    local id = ARGV[at]
    if is_drop then
        forget_text(KEYS[4], ARGV[2], parked, id)
        settled = settled + call('XDEL', parked, id)
        is_waiting[id] = nil
    elseif #call('XRANGE', parked, id, id) > 0 then
        settled = settled + 1
        if not is_waiting[id] then waiting[#waiting + 1] = id end
        is_waiting[id] = true
    end
end
local left = {}
for _, id in ipairs(waiting) do
    if is_waiting[id] then left[#left + 1] = id end
end
if #left > 0 then call('HSET', group, 'replay', table.concat(left, ' ')) else call('HDEL', group, 'replay') end
return settled
