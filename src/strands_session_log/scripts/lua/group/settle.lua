#!lua flags=allow-oom
-- What a consumer says of the deliveries it has in one partition: ack, done; nack, failed, to be tried again; park, given
-- up; release, others may have it; extend, it is still at it.
-- uses: lib/error_texts, lib/feed_ids, lib/gap, lib/group, lib/park, lib/time
--
-- KEYS: feed, group, parked, texts; then for each of the others that has a text, its session's events (one slot)
-- ARGV: 1 group, 2 consumer, 3 after how many ms a delivery counts as left, 4 deliveries at most, 5 'ordered' or ''
--       6 the id of one of the last that are done, and 7 the link of its event
--       8 taken_over of this consumer, as it knows it from the last answer; '' if it does not
--       9 which attempts those that are done were, separated by spaces ('' if all were the first), 10 how many there are
--       then their ids; then for each of the others: what (nack | park | release | extend), id, attempts, pause in ms,
--       error (its type and place, never content), text (which may quote content; kept only of what is parked)
--
-- Returns {of those that are done, of the others, parked, checkpoint, taken_over}: of the first two a character each, k
-- (kept) if it was this consumer's delivery, t (taken over) if another has it now, or for extend the lease of its partition
-- in ordered mode, g (gone) if nobody has; then the ids that were parked, up to where all is settled, and how often others
-- have taken something over from this consumer.
--
-- Whoever takes over counts it (group/fetch.lua), so that as a rule there is no need to look at every single delivery.
local call = redis.call
local feed, group, parked, texts = unpack(KEYS)
local FIRST, WIDTH = 11, 6
local name, consumer, claim_after, max_attempts, ordered, last_id, last_link, known_count, attempts, acks = unpack(ARGV, 1, FIRST - 1)
claim_after, max_attempts, ordered, acks = tonumber(claim_after), tonumber(max_attempts), ordered == 'ordered', tonumber(acks)
local taken_over = call('HGET', group, 'taken_over:' .. consumer) or '0'
-- Of what is no count, nobody can say that it is as it was.
if #taken_over > 18 or not string.match(taken_over, '^%d+$') then taken_over = '' end
local has_all = taken_over ~= '' and taken_over == known_count and call('EXISTS', feed) == 1
local owner = ordered and call('HGET', group, 'lease_owner')
local now = now_ms()

local function verdict(id, attempts)
    local row = redis.pcall('XPENDING', feed, name, id, id, 1)[1]
    if not row then return 'g' end
    return row[2] == consumer and row[4] == attempts and 'k' or 't'
end

local attempts_of, number = {}, 0
for attempt in string.gmatch(attempts, '%d+') do attempts_of[#attempts_of + 1] = tonumber(attempt) end

local function acknowledge(ids, first, last)
    for from = first, last, 1000 do
        local acked = redis.pcall('XACK', feed, name, unpack(ids, from, math.min(from + 999, last)))
        if type(acked) ~= 'number' then return end
        number = number + acked
    end
end

local answers
if has_all then
    acknowledge(ARGV, FIRST, FIRST + acks - 1)
    -- The group was made anew: nothing of it was delivered to anybody.
    answers = string.rep(number == acks and 'k' or 'g', acks)
else
    local done, said = {}, {}
    for at = 1, acks do
        said[at] = verdict(ARGV[FIRST + at - 1], attempts_of[at] or 1)
        if said[at] == 'k' then done[#done + 1] = ARGV[FIRST + at - 1] end
    end
    acknowledge(done, 1, #done)
    answers = table.concat(said)
end
for at, attempt in ipairs(attempts_of) do
    if attempt > 1 then call('HDEL', group, 'error:' .. ARGV[FIRST + at - 1]) end
end

local others, buried = {}, {}

-- Its envelope was trimmed: nobody can be given it again, so it is a gap. Neither can its consumer vouch for it now.
local function lose(id)
    note_gap(group, beside(id, -1), beside(id, 1))
    count(group, 'taken_over:' .. consumer)
    take_off(feed, group, name, id)
end

local function bury(id, attempts, why, text, events)
    local parked_id, told = put_aside(feed, group, parked, name, id, attempts, why)
    if not parked_id then return lose(id) end
    if text ~= '' then keep_text(texts, events, name, parked_id, told[2], told[4], text) end
    buried[#buried + 1] = id
end

-- XCLAIM drops what has no envelope any more.
local function keep(id, ...)
    if #call('XCLAIM', feed, name, consumer, 0, id, 'JUSTID', ...) == 0 then lose(id) end
end

local sessions = 4
for at = FIRST + acks, #ARGV, WIDTH do
    local what, id, attempt, pause, why, text = unpack(ARGV, at, at + WIDTH - 1)
    attempt = tonumber(attempt)
    if text ~= '' then sessions = sessions + 1 end
    local said = verdict(id, attempt)
    -- Whoever has the partition has all of it, also what was not taken over one by one yet.
    if what == 'extend' and owner and owner ~= consumer then said = 't' end
    others[#others + 1] = said
    if said == 'k' then
        if what == 'park' or what == 'nack' and attempt >= max_attempts then
            bury(id, attempt, why, text, KEYS[sessions])
        elseif what == 'nack' then
            call('HSET', group, 'error:' .. id, attempt .. ' ' .. why)
            local idle = math.max(0, claim_after - tonumber(pause))
            keep(id, 'IDLE', idle)
            if ordered then call('HSET', group, 'backoff_until', now + tonumber(pause)) end
        elseif what == 'release' then
            -- Since long ago: whoever looks may have it, however long that one lets others handle.
            keep(id, 'TIME', 1, 'RETRYCOUNT', attempt - 1)
        else
            keep(id)
        end
    end
end
-- Who handles slowly asks for nothing, but is there.
if #others > 0 then call('HSET', group, HEARTBEAT .. consumer, now) end
if owner == consumer then call('HSET', group, 'lease_until', now + claim_after) end

-- Up to where is everything settled? Entries are hardly ever looked up for it: in a stream of large nodes that is slow ----
-- What should stand right before the oldest that is pending may be lost, and then nobody has settled it: whoever was given
-- that one is about to find out, by the checkpoint among others.
local function settled_before(oldest)
    local before = sequence_of(oldest) - 1
    local known = id_or_nil(call('HGET', group, 'checkpoint'))
    if known and sequence_of(known) >= before or number > 0 and number == acks and is_id(last_id) and sequence_of(last_id) == before then
        return beside(oldest, -1)
    end
    local entry = call('XREVRANGE', feed, '(' .. oldest, '-', 'COUNT', 1)[1]
    if entry and not (known and stands_before(entry[1], known)) then return entry[1] end
    return known and stands_before(known, oldest) and known or beside(oldest, -1)
end

local function checkpoint()
    local pending = redis.pcall('XPENDING', feed, name)
    if pending.err then return '' end
    local at, link = nil, ''
    if pending[1] > 0 then
        at = settled_before(pending[2])
    else
        at = delivered_to(feed, name)
        if at == last_id then link = last_link end
    end
    call('HSET', group, 'checkpoint', at, 'checkpoint_link', link)
    return at
end

local settled = ''
if number > 0 or #buried > 0 then settled = checkpoint() end
return { answers, table.concat(others), buried, settled, taken_over }
