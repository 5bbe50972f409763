-- A batch of events as an append takes it, the session it is for, and whether it has landed.
--
-- ARGV: 1 revision of its first event, 2 base link (of a session whose id was used before, the token of that one's
--       deletion), 3 base id, 4 session id, 5 what is expected of the session: '' for anything, 'absent', 'revision <n>',
--       'agent <moved> <next message index> <agent>' and 'multi_agent <moved> <> <id>', where what is left open is empty,
--       or 'life <when the session began> <what its head says of the one before it>'; 6 what the batch changes of what the
--       head sums up, see lib/summary.lua; then for each event: type agent event time v trace retained salt link body facts
--       moves, which is whose resuming it changes: agent, multi_agent, or nothing; of a message, which changes its agent's,
--       the index
local FIRST, WIDTH, AGENT, EVENT, LINK, MOVES = 7, 12, 1, 2, 8, 11
local ENTRY_LINK = 20

-- 'landed <link> <first id>' of a batch that stands right after its base; nothing if it does not. Links are computed by the
-- client for exactly one base, so it can stand nowhere else; and only the very call that wrote it can have its last link.
-- A batch has one time, so where its first event would stand tells where its last one would: what stands between may be of
-- others, and large. Without a base it is the batch among the arguments.
local function landed(events, base, count, link)
    if not base then
        base, count, link = ARGV[3], (#ARGV - FIRST + 1) / WIDTH, ARGV[#ARGV - WIDTH + 1 + LINK]
        if count <= 0 then return nil end
    end
    local first = redis.call('XRANGE', events, '(' .. base, '+', 'COUNT', 1)[1]
    if not first then return nil end
    local ms, revision = string.match(first[1], '^(%d+)-(%d+)$')
    local last_id = ms .. '-' .. tostring(revision + count - 1)
    local last = count == 1 and first or redis.call('XRANGE', events, last_id, last_id)[1]
    if not last or last[2][ENTRY_LINK] ~= link then return nil end
    return 'landed ' .. link .. ' ' .. first[1]
end

-- Whoever waits until it is safe waits for what its own connection wrote, which must be something, also where all had been
-- written before. A replica writes nothing, but can tell. First a write that is never refused for want of memory; once it
-- is done, none is.
local function write_for_waiting(head, revision)
    redis.pcall('HDEL', head, '')
    redis.pcall('HSET', head, 'revision', revision)
end
