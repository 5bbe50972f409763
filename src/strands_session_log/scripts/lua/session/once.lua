-- Appends a batch unless its events are in the session already: known by their event ids, whoever wrote them.
-- uses: lib/append, lib/arguments, lib/batch, lib/event_ids
--
-- KEYS: as lib/append.lua, and ids: a hash of the newest event ids, and up to where it goes (one slot)
-- ARGV: what lib/append.lua takes; and last, how many ids the hash has at least; behind a blank, if the content is
--       encrypted, whose key it is encrypted with
--
-- Returns what an append does; {'stand', id...}, '' for each event that does not; or {'behind', id, link} when others
-- have appended since: the caller reads what they wrote, for bodies are not to be read here, and tells session/ids.lua.
local kept, root = string.match(table.remove(ARGV), '^(%d+) ?(.*)$')
kept = tonumber(kept)
local events, head, ids = KEYS[1], KEYS[2], KEYS[7]

-- Whatever somebody has put there instead is no index.
local function read_index(...)
    local found = redis.pcall('HMGET', ids, ...)
    if found.err then
        redis.call('UNLINK', ids)
        return {}
    end
    return found
end

local ms, revision, link, sealed = unpack(redis.call('HMGET', head, 'ms', 'revision', 'link', 'sealed'))
if sealed and sealed ~= root then return { 'sealed', sealed } end
local indexed = read_index('upto', 'link')
local stands = revision and ms .. '-' .. revision
if not stands then
    redis.call('UNLINK', ids)
elseif indexed[1] ~= stands or indexed[2] ~= link then
    return { 'behind', indexed[1] or '', indexed[2] or '' }
end

local fields = {}
for at = FIRST, #ARGV, WIDTH do fields[#fields + 1] = event_field(ARGV[at + EVENT]) end
local found, answer, is_new = read_index(unpack(fields)), { 'stand' }, true
for number = 1, #fields do
    local id = found[number]
    if id then
        local entry = redis.call('XRANGE', events, id, id)[1]
        if not entry or event_field(entry[2][2 * EVENT + 2]) ~= fields[number] then
            redis.call('UNLINK', ids)
            return { 'behind', '', '' }
        end
        is_new = false
    end
    answer[number + 1] = id or ''
end
if not is_new then
    write_for_waiting(head, revision)
    return answer
end

answer = append(nil, root ~= '' and root or nil)
if type(answer) == 'string' then
    local its_link, its_ms, first = string.match(answer, ' (%S+) (%d+)-(%d+)$')
    local flat = { 'upto', '', 'link', its_link }
    for number, name in ipairs(fields) do
        flat[2] = its_ms .. '-' .. tostring(first + number - 1)
        flat[#flat + 1] = name
        flat[#flat + 1] = flat[2]
    end
    add_event_ids(ids, flat, kept)
end
return answer
