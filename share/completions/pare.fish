# SPDX-License-Identifier: Apache-2.0
# Completion of pare in fish. The program itself is asked what may follow, so that nothing here is ever
# out of date.
function __pare_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (pare complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo -- $line
        end
    end
end
complete -c pare -f -a '(__pare_complete)'
