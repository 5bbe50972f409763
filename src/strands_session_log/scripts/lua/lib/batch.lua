-- Whether a batch has landed.
-- uses: lib/arguments

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
