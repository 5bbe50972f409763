-- What a consumer says of the deliveries it has in one partition: done, failed, still at it, or somebody else may.
--
-- KEYS: feed, group, parked (one slot)
-- ARGV: 1 group, 2 consumer, 3 after how many ms a delivery counts as left, 4 deliveries at most, 5 'ordered' or ''
--       6 the id of one of the last that are done, and 7 the link of its event
--       8 how often others had taken something over from this consumer when it last looked; '' if it does not know
--       9 which attempts those that are done were, separated by spaces ('' if all were the first), 10 how many there are
--       then their ids; then for each of the others: what (fail | park | back | beat), id, attempts, error, pause in ms
--
-- Returns {of those that are done, of the others, parked, checkpoint, taken over}: of the first two a character each, k if
-- it was this consumer's delivery, l if another has it now, g if nobody has; then the ids that were parked, up to where
-- all is settled, and how often others have taken something over.
--
-- Whoever takes over counts it (group_take.lua), so that as a rule there is no need to look at every single delivery.
local call = redis.call
local feed, group, parked = KEYS[1], KEYS[2], KEYS[3]
local name, consumer, claim_after, max_attempts = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST, count = 11, tonumber(ARGV[10])
local robbed = call('HGET', group, 'robbed:' .. consumer) or '0'
local has_all = robbed == ARGV[8] and call('EXISTS', feed) == 1
local ordered = ARGV[5] == 'ordered'
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local mine = {}
if not has_all or #ARGV >= FIRST + count then
    local rows = redis.pcall('XPENDING', feed, name, '-', '+', 100000, consumer)
    for _, row in ipairs(rows.err and {} or rows) do mine[row[1]] = row[4] end
end

local function verdict(id, attempts)
    if mine[id] == attempts then return 'k' end
    local row = redis.pcall('XPENDING', feed, name, id, id, 1)
    return row[1] and 'l' or 'g'
end

local attempts_of, number = {}, 0
for attempts in string.gmatch(ARGV[9], '%d+') do attempts_of[#attempts_of + 1] = tonumber(attempts) end

local function acknowledge(ids, first, last)
    for from = first, last, 1000 do
        local acked = redis.pcall('XACK', feed, name, unpack(ids, from, math.min(from + 999, last)))
        if type(acked) ~= 'number' then return end
        number = number + acked
    end
end

local answers
if has_all then
    acknowledge(ARGV, FIRST, FIRST + count - 1)
    -- The group was made anew: nothing of it was delivered to anybody.
    answers = string.rep(number == count and 'k' or 'g', count)
else
    local done, said = {}, {}
    for at = 1, count do
        said[at] = verdict(ARGV[FIRST + at - 1], attempts_of[at] or 1)
        if said[at] == 'k' then done[#done + 1] = ARGV[FIRST + at - 1] end
    end
    acknowledge(done, 1, #done)
    answers = table.concat(said)
end
for at, attempts in ipairs(attempts_of) do
    if attempts > 1 then call('HDEL', group, 'error:' .. ARGV[FIRST + at - 1]) end
end

local others, buried = {}, {}

-- Its envelope was trimmed: nobody can be given it again, so it is a gap. Neither can its consumer vouch for it now.
local function lose(id)
    call('HSET', group, 'gap', widened(call('HGET', group, 'gap'), beside(id, -1), beside(id, 1)))
    call('HINCRBY', group, 'robbed:' .. consumer, 1)
    call('XACK', feed, name, id)
    call('HDEL', group, 'error:' .. id)
end

local function bury(id, attempts, why)
    local entry = call('XRANGE', feed, id, id)[1]
    if not entry then return lose(id) end
    local fields = { 'XADD', parked, '*' }
    for at = 1, 12 do fields[#fields + 1] = entry[2][at] end
    for _, value in ipairs({ 'feed', id, 'attempts', attempts, 'error', why }) do fields[#fields + 1] = value end
    call(unpack(fields))
    call('HINCRBY', group, 'parked', 1)
    call('XACK', feed, name, id)
    call('HDEL', group, 'error:' .. id)
    buried[#buried + 1] = id
end

-- XCLAIM drops what has no envelope any more.
local function keep(id, ...)
    if #call('XCLAIM', feed, name, consumer, 0, id, 'JUSTID', ...) == 0 then lose(id) end
end

for at = FIRST + count, #ARGV, 5 do
    local what, id, attempts, why, pause = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
    local said = verdict(id, attempts)
    others[#others + 1] = said
    if said == 'k' then
        if what == 'park' or what == 'fail' and attempts >= max_attempts then
            bury(id, attempts, why)
        elseif what == 'fail' then
            call('HSET', group, 'error:' .. id, attempts .. ' ' .. why)
            local idle = math.max(0, claim_after - tonumber(pause))
            keep(id, 'IDLE', idle)
            if ordered then call('HSET', group, 'retry', now + tonumber(pause)) end
        elseif what == 'back' then
            -- Since long ago: whoever looks may have it, however long that one lets others handle.
            keep(id, 'TIME', 1, 'RETRYCOUNT', attempts - 1)
        else
            keep(id)
        end
    end
end
if ordered and call('HGET', group, 'lease') == consumer then call('HSET', group, 'lease_until', now + claim_after) end

-- Up to where is everything settled? Entries are not looked up for it: in a stream of large nodes that is slow ----------
local function checkpoint()
    local pending = redis.pcall('XPENDING', feed, name)
    if pending.err then return '' end
    local at, link = nil, ''
    if pending[1] > 0 then
        local ms, sequence = string.match(pending[2], '^(%d+)%-(%d+)$')
        at = ms .. '-' .. string.format('%.0f', tonumber(sequence) - 1)
    else
        at = delivered_to(feed, name)
        if at == ARGV[6] then link = ARGV[7] end
    end
    call('HSET', group, 'checkpoint', at, 'link', link)
    return at
end

local settled = ''
if number > 0 or #buried > 0 then settled = checkpoint() end
return { answers, table.concat(others), buried, settled, robbed }
