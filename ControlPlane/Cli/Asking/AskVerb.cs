using System.Collections.Immutable;
using System.CommandLine;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Asking;

/// <summary>`dsops ask [RUN] "question"`: answers out of what the control plane has recorded.</summary>
internal static class AskVerb
{
    /// <summary>Of a question that is told back; whoever sent a file sees that by its beginning.</summary>
    private const int EchoMost = 200;

    public static Command Build(Terminal terminal)
    {
        var words = new Argument<string[]>("question")
        {
            Description = "Name of a run, if one is meant, and a question in your own words or by its name of --list.",
            Arity = ArgumentArity.ZeroOrMore,
            HelpName = "question",
        };
        words.CompletionSources.Add(_ => QuestionBook.All
            .Select(question => new System.CommandLine.Completions.CompletionItem(question.Id)));
        var list = new Option<bool>("--list") { Description = "All questions that are answered, with their names." };
        var stage = new Option<string?>("--stage") { Description = "Of an incident: its stage.", HelpName = "NAME" };
        var incident = new Option<int>("--incident") { Description = "Which incident of the stage. Default: the newest.", HelpName = "N" };
        var since = new Option<TimeSpan?>("--since")
        {
            Description = "What is meant by last night or while you were away: 24h (if none is given), 90m, 7d.", HelpName = "TIME",
            CustomParser = result => IncidentsVerb.ParseSpan(result, "--since"),
        };
        var command = new Command("ask",
            "Answers a question about a run, the queue, the cluster or what broke, with the figures behind the answer and where they are "
            + "from. What is not recorded is said to be unknown. --list shows the questions.")
        {
            words, list, stage, incident, since,
        };
        incident.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out int number) && number < 1)
            {
                result.AddError($"--incident is '{token.Value}'; an incident has a number from 1.");
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            string[] asked = parsed.GetValue(words) ?? [];
            if (asked.Length == 0 || parsed.GetValue(list))
            {
                List(terminal, parsed.WantsJson());
                return ExitCode.Ok;
            }

            using var connection = await VerbAction.Connect(parsed, cancellation);
            string site = SiteOf(parsed);
            var reception = new Reception(connection.Client, site, cancellation);
            var (run, question, unfound) = await reception.Split(asked);
            var match = QuestionMatch.Of(question);
            if (match.Sure is not { } sure)
            {
                throw Unsure(question, run, match);
            }

            var (answer, about) = await reception.Answer(sure, new Subject(run, parsed.GetValue(stage) ?? "", parsed.GetValue(incident))
            {
                Since = parsed.GetValue(since) ?? Subject.UsualSince,
            });
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(json => AnswerText.Write(json, sure, about, answer, site)));
            }
            else
            {
                AnswerText.Write(terminal, sure, answer, site, OfAnother(sure, about, unfound));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>What a browser opens; of several addresses the first.</summary>
    internal static string SiteOf(ParseResult parsed) => parsed.GetValue(CommonOptions.Server) is { Length: > 0 } server
        ? server.Split(',')[0].Trim().TrimEnd('/')
        : ControlPlaneConnection.Running(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory).Http.TrimEnd('/');

    /// <summary>
    /// Said before the answer, where a word may have been meant as a run that there is none of: "Nothing broke" of all others is no
    /// answer then. Empty: no word is left over.
    /// </summary>
    internal static string OfAnother(Question question, Subject about, ImmutableArray<string> unfound) =>
        question.About == About.All || unfound.IsEmpty ? ""
            : $"No run is named {string.Join(" or ", unfound.Select(word => $"'{word}'"))}: this is of "
                + $"{(about.Run.Length > 0 ? about.Run : "all runs")}.";

    internal static RefusalException Unsure(string asked, string run, Guessed match)
    {
        asked = asked.Length <= EchoMost ? asked : $"{asked[..EchoMost].TrimEnd()} …";
        string whose = run.Length > 0 ? $"{run} " : "";
        return new RefusalException($"'{asked}' is not sure to be one of the questions that are answered.", match.Near.IsEmpty
            ? "`dsops ask --list` shows them."
            : "`dsops ask --list` shows all. Did you mean one of these?"
                + string.Concat(match.Near.Select(near => $"\n    dsops ask {whose}{near.Id}: {near.Text}")), ExitCode.Usage);
    }

    private static void List(Terminal terminal, bool json)
    {
        if (json)
        {
            terminal.Document.WriteLine(ProtoJson.Document(writer =>
            {
                writer.WriteStartArray();
                foreach (var (group, question) in QuestionBook.Groups.SelectMany(g => g.Questions.Select(q => (g.Name, q))))
                {
                    writer.WriteStartObject();
                    writer.WriteString("name", question.Id);
                    writer.WriteString("question", question.Text);
                    writer.WriteString("group", group);
                    writer.WriteBoolean("ofARun", question.About == About.OneRun);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
            }));
            return;
        }

        int width = QuestionBook.All.Max(question => question.Id.Length);
        foreach (var group in QuestionBook.Groups)
        {
            terminal.Output.WriteLine(group.Title);
            foreach (var question in group.Questions)
            {
                terminal.Output.WriteLine($"  {question.Id.PadRight(width)}  {question.Text}");
            }
        }
    }
}
