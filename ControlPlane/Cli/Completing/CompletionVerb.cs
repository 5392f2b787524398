using System.CommandLine;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Completing;

/// <summary>`dsops completion bash`: what makes a shell complete verbs, options and names of runs.</summary>
internal static class CompletionVerb
{
    /// <summary>
    /// The program says itself what fits: it is asked with the line so far and the place in it. What it answers is compared and never
    /// evaluated, so that no name can become a command.
    /// </summary>
    private const string Bash = """
        _dsops() {
            local word="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}" one
            line="${line#*[[:space:]]}"
            COMPREPLY=()
            while IFS= read -r one; do
                [[ $one == "$word"* ]] && COMPREPLY+=("$one")
            done < <("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2>/dev/null)
        }
        complete -o default -F _dsops dsops
        """;

    private const string Zsh = """
        #compdef dsops
        _dsops() {
            local line="${(j: :)words[2,CURRENT]}"
            local -a found
            found=(${(f)"$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)"})
            (( ${#found} )) && compadd -- "${found[@]}" || _files
        }
        compdef _dsops dsops
        """;

    private const string Fish = """
        function __dsops_complete
            set -l line (commandline -cp | string replace -r '^\s*\S+\s' '')
            command dsops "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c dsops -a '(__dsops_complete)'
        """;

    public static Command Build(Terminal terminal)
    {
        var command = new Command("completion",
            "Prints what makes your shell complete verbs, options and names of runs. bash: put 'source <(dsops completion bash)' into "
            + "~/.bashrc. zsh: the same into ~/.zshrc, after compinit. fish: dsops completion fish > "
            + "~/.config/fish/completions/dsops.fish");
        command.Subcommands.Add(Of("bash", "For bash 4 or newer.", Bash));
        command.Subcommands.Add(Of("zsh", "For zsh.", Zsh));
        command.Subcommands.Add(Of("fish", "For fish 3 or newer.", Fish));
        return command;

        Command Of(string shell, string description, string script)
        {
            var one = new Command(shell, description);
            one.SetAction(_ => terminal.Document.WriteLine(script.ReplaceLineEndings("\n")));
            return one;
        }
    }
}
