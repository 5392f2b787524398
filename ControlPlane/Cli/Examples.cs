using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>Examples at the end of each verb's help: what a newcomer copies.</summary>
internal static partial class Examples
{
    /// <summary>Columns of prose that are easy to read; in a pipe too, which ends on somebody's terminal.</summary>
    private const int Widest = 80;

    private static readonly Dictionary<string, string[]> ByVerb = new()
    {
        ["dsops"] = ["dsops doctor", "dsops dev --submit deploy/examples/mini.yaml", "dsops show mini", "dsops events mini -f",
            "dsops logs mini -f --rank 0"],
        ["dev"] =
        [
            "dsops dev", "dsops dev --submit deploy/examples/mini.yaml", "dsops dev --port 9000 --data-dir /var/tmp/ops",
            "dsops dev --cluster simulated --nodes 256 --faults rsc1 --seed 2 --cluster-settings deploy/examples/cluster.yaml",
            "dsops dev --database \"Host=127.0.0.1;Username=ops;Password=secret;Database=ops\"",
        ],
        ["doctor"] =
        [
            "dsops doctor", "dsops doctor --submit deploy/examples/mini.yaml",
            "dsops doctor --database-file db.txt --cluster-settings cluster.yaml",
            "dsops doctor --json | jq -r '.checks[] | select(.level==\"fault\") | .fix'",
        ],
        ["backup"] =
        [
            "dsops backup --out /backup/dsops-$(date +%F).backup", "dsops backup --database-file db.txt --out ops.backup",
            "dsops backup --out ops.backup --json | jq '{bytes, seconds, runs: .manifest.runs}'",
        ],
        ["restore"] =
        [
            "dsops restore ops.backup --check", "dsops restore ops.backup --data-dir /var/lib/dsops-2 --key-file dsops.key",
            "dsops restore ops.backup --database-file new-db.txt --key-file dsops.key --checkpoints /checkpoints",
        ],
        ["serve"] = ["dsops serve --database \"Host=db;Username=ops;Password=secret;Database=ops\" --port 8080 --grpc-port 8081",
            "dsops serve --https 0.0.0.0:8443 --public-url https://ops.example.com --https-cert tls.crt --https-key tls.key"],
        ["submit"] =
        [
            "dsops submit deploy/examples/mini.yaml --watch", "dsops submit deploy/examples/mini.yaml --name mini-2",
            "dsops submit deploy/examples/mini.yaml --data my.txt,more.jsonl",
            "dsops clone mini mini-2 --set seed=2 | dsops submit -",
        ],
        ["runs"] = ["dsops runs", "dsops runs mini", "dsops runs --json | jq -r '.[] | select(.state==\"failed\") | .name'"],
        ["top"] =
        [
            "dsops top", "dsops top --search team:alpha --every 5s", "dsops top --once",
            "dsops top --json | jq '.openIncidents[].sentence'",
        ],
        ["show"] = ["dsops show mini", "dsops show mini --json | jq '.stages[] | {name, state, step, loss}'"],
        ["compare"] = ["dsops compare mini mini-2", "dsops compare mini mini-2 mini-3 --stage pretrain --step 200",
            "dsops compare mini mini-2 --json | jq .differences"],
        ["events"] = ["dsops events mini", "dsops events mini -f", "dsops events --since 12h --warnings"],
        ["logs"] = ["dsops logs mini", "dsops logs mini -f --rank 0", "dsops logs mini --stage pretrain --attempt 1 --contains error"],
        ["why"] = ["dsops why --log rank-0.log --exit 137", "dsops why --log slurm-4711.out --json | jq -r .class",
            "kubectl logs job/train --previous | dsops why --log - --exit 1"],
        ["ask"] = ["dsops ask --list", "dsops ask mini \"why does it wait\"", "dsops ask \"what broke last night\" --since 12h",
            "dsops ask mini incident-cost --json | jq -r .answer"],
        ["mcp"] = ["dsops mcp --data-dir /var/tmp/ops", "DSOPS_TOKEN=dsops_… dsops mcp --server http://127.0.0.1:5080"],
        ["completion"] = ["source <(dsops completion bash)", "dsops completion fish > ~/.config/fish/completions/dsops.fish"],
        ["export"] =
        [
            "dsops export mini --out export", "dsops export mini --format tensorboard --out tb && tensorboard --logdir tb/tensorboard",
            "dsops export mini --format mlflow --out ml && mlflow ui --backend-store-uri ml/mlruns",
            "dsops export mini --format archive --out . && dsops import mini.dsops --data-dir /var/tmp/other",
        ],
        ["import"] = ["dsops import mini.dsops", "dsops import mini.dsops --data-dir /var/tmp/other --json | jq .rows"],
        ["incidents"] = ["dsops incidents mini", "dsops incidents --since 24h", "dsops incidents --node node-0003",
            "dsops incidents grade mini/pretrain/2 65",
            "dsops incidents hold mini --for 2h --reason \"looking at rank 3\"", "dsops incidents take mini/pretrain/2 --by ann"],
        ["cost"] = ["dsops cost mini", "dsops cost mini --json | jq .cost.lostGpuHoursByCause"],
        ["drill"] =
        [
            "dsops drill mini --fault kill-rank --seed 1", "dsops drill mini --fault hang --seed 2 --json | jq '{grade, verified}'",
            "dsops drill mini --fault corrupt-checkpoint --within 120", "dsops drill mini --fault kill-control-plane",
        ],
        ["audit"] = ["dsops audit mini", "dsops audit --since 24h",
            "dsops audit --json | jq -r '.[] | select(.act==\"cancel-run\") | .who'",
            "dsops audit verify --anchor 812:5f3a9c0011223344"],
        ["tokens"] = ["dsops tokens create ann --role operator --team alpha --expires 30d", "dsops tokens list",
            "DSOPS_TOKEN=dsops_… dsops runs --server https://ops.example.com --ca ca.crt"],
        ["notify"] = ["dsops notify", "dsops notify --test"],
        ["pause"] = ["dsops pause mini --reason \"night rate begins at 22:00\""],
        ["resume"] = ["dsops resume mini"],
        ["cancel"] = ["dsops cancel mini --reason \"wrong data\""],
        ["retry"] = ["dsops retry mini", "dsops retry mini --stage sft", "dsops retry mini --stage pretrain --from 200"],
        ["clone"] =
        [
            "dsops clone mini mini-2 > mini-2.yaml", "dsops clone mini mini-2 --set seed=2 --set stages.pretrain.tokens=300Ki",
            "dsops clone v3 v3-128n --stage pretrain --nodes 128 | dsops submit -",
        ],
        ["checkpoints"] = ["dsops checkpoints mini", "dsops checkpoints mini --stage pretrain"],
        ["experts"] = ["dsops experts mini", "dsops experts mini --stage extend",
            "dsops experts mini --json | jq '.newest.layers[] | {name, busiest}'"],
        ["trace"] = ["dsops trace mini", "dsops trace mini --steps 3 --out trace.json", "dsops trace mini --kept --json | jq .parts"],
        ["cluster"] =
        [
            "dsops cluster", "dsops cluster test node-0007 node-0008", "dsops cluster drain node-0007 --reason \"fan\"",
            "dsops cluster maintenance plan firmware --group zone-a --from 2026-12-01T08:00Z --hours 2",
        ],
        ["queue"] = ["dsops queue", "dsops queue move mini/pretrain --first --reason \"the paper is due\"",
            "dsops queue preempt a/pretrain --for b/pretrain"],
        ["schema"] = ["dsops schema > pipeline.schema.json"],
        ["version"] = ["dsops version --json"],
        ["plan"] = ["dsops plan deploy/examples/deepseek-v3.yaml",
            "dsops plan deploy/examples/deepseek-v3.yaml --json | jq .stages[0].days",
            "dsops plan --serving mini", "dsops plan --serving expert-loads.json --out manifests --image registry.example/engine:1"],
        ["spikes"] = ["dsops spikes loss.csv", "dsops spikes loss.csv --policy pause --json | jq .actions"],
        ["simulate"] =
        [
            "dsops simulate deploy/examples/deepseek-v3.yaml --faults llama3 --seed 1",
            "dsops simulate deploy/examples/deepseek-v3.yaml --compare --seeds 5 --days 14 --report compared.html",
            "dsops simulate deploy/examples/deepseek-v3.yaml --faults rsc1 --spares 12 --days 14 --json | jq .gpuSeconds",
        ],
        ["mfu"] = ["dsops mfu --golden", "dsops mfu --golden --json"],
        ["generate"] =
        [
            "dsops generate mini/sft --prompt \"12+7\" --chat",
            "dsops generate mini/pretrain --prompt \"Once\" --temperature 0.8 --seed 7 --json",
        ],
        ["data"] =
        [
            "dsops data prepare web/ books.txt --out /data/set", "dsops data prepare web/ books.txt --out /data/set --weight books.txt=2",
            "dsops data prepare web/ --out /data/v3 --tokenizer DeepSeek-V3/tokenizer.json", "dsops data check /data/set",
        ],
        ["model"] =
        [
            "dsops model params .dsops/checkpoints/mini/sft/step-00000250", "dsops model check .dsops/checkpoints/mini/sft/step-00000250",
        ],
    };

    public static void AddTo(RootCommand root, Terminal terminal)
    {
        foreach (var option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction help } helpOption)
            {
                help.MaxWidth = Math.Min(terminal.Width, Widest);
                helpOption.Action = new HelpWithExamples(help, help.MaxWidth);
            }
        }
    }

    /// <summary>
    /// A line of a shell that is too long goes on after a backslash, before an option or a pipe: within a quoted text that would be
    /// another text.
    /// </summary>
    internal static IEnumerable<string> Lines(string example, int width)
    {
        string line = "  ";
        foreach (string part in Parts().Split(example))
        {
            if (line.Trim().Length > 0 && line.Length + 1 + part.Length + 2 > width)
            {
                yield return $"{line} \\";
                line = "     ";
            }

            line += line.Trim().Length == 0 ? part : $" {part}";
        }

        yield return line;
    }

    [GeneratedRegex(@" (?=--|\| )")]
    private static partial Regex Parts();

    private sealed class HelpWithExamples(HelpAction help, int width) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            int code = help.Invoke(parseResult);
            string[] examples = [.. Of(parseResult.CommandResult)];
            if (examples.Length > 0)
            {
                var output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (string line in examples.SelectMany(example => Lines(example, width)))
                {
                    output.WriteLine(line);
                }
                output.WriteLine();
            }
            return code;
        }

        /// <summary>Of a verb below another one: those of that one that begin with its words.</summary>
        private static IEnumerable<string> Of(CommandResult result)
        {
            var path = new List<string>();
            for (SymbolResult? at = result; at is CommandResult { Command: not RootCommand and var command }; at = at.Parent)
            {
                path.Insert(0, command.Name);
            }

            string begin = $"dsops {string.Join(' ', path)}";
            return ByVerb.GetValueOrDefault(path.Count == 0 ? "dsops" : path[0], [])
                .Where(example => path.Count < 2 || example.StartsWith(begin, StringComparison.Ordinal));
        }
    }
}
