-- Whom a session is about, as its head has it: keyed hashes, separated by blanks; one of whom only some events are about
-- begins with `~`. The index of the partition has a line for each.

local function subject_line(one, session)
    local hash = string.match(one, '[^~]+$')
    return hash .. (hash == one and ' session ' or ' events ') .. session
end

-- The list, with one more or without it.
local function with_subject(known, one, is_in)
    local left = {}
    for other in string.gmatch(known or '', '%S+') do
        if other ~= one then left[#left + 1] = other end
    end
    if is_in then left[#left + 1] = one end
    return table.concat(left, ' ')
end
