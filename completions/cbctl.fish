# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cbctl_global_optspecs
    string join \n f/files= n/namespace= context= prometheus= o/output= q/quiet no-color h/help V/version
end

function __fish_cbctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cbctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cbctl_using_subcommand
    set -l cmd (__fish_cbctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cbctl -n "__fish_cbctl_needs_command" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_needs_command" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_needs_command" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_needs_command" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_needs_command" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_needs_command" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_needs_command" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_needs_command" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_needs_command" -s V -l version -d 'Print version'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "status" -d 'Show where the rollout stands and what every gate and trigger says'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "check" -d 'Decide what `promote` would, and touch nothing; the exit code is the verdict'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "rehearse" -d 'Try the way back from the next step, and touch nothing; `promote` does it too'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "promote" -d 'Take the rollout one step further towards a phase, if the gates allow it'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "rollback" -d 'Switch breakers off, or go back to where the rollout was before the last step'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "abort" -d 'Take the canary away, and the rollout back to where it stood before there was one'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "sign-off" -d 'Give your word for what Prometheus cannot tell'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "pause" -d 'Have nothing promoted until `resume`; rollbacks go on as ever'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "resume" -d 'Let promotions go on after `pause`'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "history" -d 'Show what happened to the rollout, newest first'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "why" -d 'Show one operation of the history, and the evidence it was decided on'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "completions" -d 'Print a shell\'s completion script'
complete -c cbctl -n "__fish_cbctl_needs_command" -f -a "man" -d 'Print the manual page'
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l at -d 'Judge a past moment, such as 2026-03-01T12:00:00Z' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l wait -d 'Look again until the answer is conclusive, for this long at most; for a day if no time is given' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l yes-high-risk -d 'Decide as if somebody had said yes to entering a phase of high risk'
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand rehearse" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l wait -d 'Go through the whole phase, one step after the other, and back by itself if a rollback trigger fires; for this long at most, for 7 days if no time is given' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l step -d 'Only this step of the phase, by its number or `full`; with --wait up to it' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l from -d 'Only if the rollout stands there now: `cache/1`, any step of `cache`, or `none` if it has not begun' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l timeout -d 'Roll back by itself if the pods are not healthy within this time' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l adopt -d 'Accept flags that somebody else changed, or that are those of no phase'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l yes-high-risk -d 'Enter a phase of high risk; with --reason'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand promote" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s l -l selector -d 'Switch off every Deployment of the namespace that has these labels' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l deployment -d 'Deployment to switch off, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l container -d 'Container to switch off, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l flag -d 'Flag to set to "false", instead of the declared or recorded ones' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l to -d 'Phase to go back to, as it was when it was left' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l timeout -d 'How long to try and to wait; with --gradual, for the pods of each reduction' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l emergency -d 'Switch every breaker off now, whatever else is going on'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l all -d 'Switch off every rollout in the folder of -f and below it'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l gradual -d 'Go back in reductions, each of them judged: fewer canary pods, then one recorded step after the other, until the rollback triggers are quiet or every breaker is off'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l undo -d 'Bring the revision of the pod template before the present one back, with every breaker that is off kept off'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l restart -d 'Restart every pod with the present values'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l no-wait -d 'Do not wait until every pod runs the old values'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l timeout -d 'How long to try and to wait; with --gradual, for the pods of each reduction' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l no-wait -d 'Do not wait until every pod runs the old values'
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand abort" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand sign-off" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand pause" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -l reason -d 'Why, for the record' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -l dry-run -d 'Have the API server check the change without storing it'
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand resume" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -l last -d 'How many entries to show' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -l verify -d 'Find entries that were edited, dropped, added or reordered; exit code 3 if there are any'
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand history" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand why" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand completions" -s h -l help -d 'Print help'
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -s f -l files -d 'Folder with rollout.yaml and the phase files' -r -F
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -s n -l namespace -d 'Namespace of the Deployment, instead of rollout.yaml\'s and the kubeconfig\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -l context -d 'Context of the kubeconfig' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -l prometheus -d 'Address of Prometheus, instead of rollout.yaml\'s' -r
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -s o -l output -d 'Form of the answer' -r -f -a "table\t''
json\t''"
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -s q -l quiet -d 'Print the answer and errors, and nothing else'
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -l no-color -d 'Do without colour, as with `NO_COLOR` set'
complete -c cbctl -n "__fish_cbctl_using_subcommand man" -s h -l help -d 'Print help'
