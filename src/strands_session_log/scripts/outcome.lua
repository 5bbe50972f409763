-- Which of several calls of append.lua, each for a position of its own, has landed; and where the session stands, as seen
-- at the same moment: whoever goes on from there knows that none of the others is in that history.
--
-- KEYS: events, head (one slot)
-- ARGV: of each call the base id, how many events it has, and its last link
--
-- Returns {'landed', link, id...} or {'moved', id, link}.
for at = 1, #ARGV, 3 do
    local found = landed(KEYS[1], ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2])
    if found then
        write_for_waiting(KEYS[2], redis.call('HGET', KEYS[2], 'revision'))
        local answer = { 'landed', ARGV[at + 2] }
        for number, id in ipairs(found) do answer[number + 2] = id end
        return answer
    end
end
local head = redis.call('HMGET', KEYS[2], 'ms', 'revision', 'link')
return { 'moved', (head[1] or 0) .. '-' .. (head[2] or 0), head[3] or '' }
