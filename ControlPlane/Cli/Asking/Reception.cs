using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Asking;

/// <summary>Which run somebody means, and the answer: for people on a terminal and for assistants alike.</summary>
internal sealed class Reception(OpsService.OpsServiceClient client, string site, CancellationToken cancellation)
{
    /// <summary>Words of a question that are looked for among the runs: a sentence has one name, or two.</summary>
    private const int NamesTried = 4;

    private const int NamesShown = 5;

    /// <summary>What is meant by a run's name alone.</summary>
    private const string Unsaid = "doing";

    private CallOptions Options => ControlPlaneConnection.Options(cancellation);

    public async Task<(Answer Answer, Subject About)> Answer(Question question, Subject about)
    {
        if (about.Run.Length == 0 && (question.About == About.OneRun || about.Incident > 0))
        {
            about = about with { Run = await OnlyRun(question) };
        }

        var facts = await new FactReader(client, site, cancellation).Read(question, about);
        return (question.Ask(facts), about);
    }

    /// <summary>
    /// The run that the words name, and what is left of them. A first word that stands alone before a sentence is a name, and one that no
    /// run has is refused; within a sentence a name is a word that is one.
    /// </summary>
    /// <returns>Run: empty where none is named. Unfound: words that no question has, and no run is named by either.</returns>
    public async Task<(string Run, string Asked, ImmutableArray<string> Unfound)> Split(IReadOnlyList<string> words)
    {
        string all = string.Join(' ', words);
        if (words.Count == 2 && !words[0].Contains(' ', StringComparison.Ordinal)
            && (words[1].Contains(' ', StringComparison.Ordinal) || QuestionBook.Named(words[1]) is not null))
        {
            var run = await client.GetRunAsync(new GetRunRequest { Name = words[0] }, Options);
            return (run.Name, words[1], []);
        }

        string[] each = all.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var names = each.Select((word, at) => (Word: word.Trim('?', ',', '.', '!', '\'', '"', ':'), At: at))
            .Where(one => one.Word.Length > 0 && QuestionBook.Named(one.Word) is null && (one.At == 0 || !QuestionMatch.Knows(one.Word)))
            .Take(NamesTried).ToList();
        foreach (var (word, at) in names)
        {
            if (await Exists(word))
            {
                return (word, each.Length == 1 ? Unsaid : string.Join(' ', each.Where((_, place) => place != at)), []);
            }
        }

        return ("", all, [.. names.Select(one => one.Word).Where(word => !QuestionMatch.Means(word)).Distinct()]);
    }

    private async Task<bool> Exists(string name)
    {
        try
        {
            await client.GetRunAsync(new GetRunRequest { Name = name }, Options);
            return true;
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.NotFound or StatusCode.InvalidArgument or StatusCode.PermissionDenied)
        {
            return false;
        }
    }

    /// <summary>Where there is one run, or one that has not ended, it is meant.</summary>
    private async Task<string> OnlyRun(Question question)
    {
        var active = await client.ListRunsAsync(new ListRunsRequest { State = "active", PageSize = 2 }, Options);
        if (active.Runs.Count == 1)
        {
            return active.Runs[0].Name;
        }

        var all = await client.ListRunsAsync(new ListRunsRequest { PageSize = NamesShown }, Options);
        string names = string.Join(", ", all.Runs.Select(run => run.Name));
        return all.All switch
        {
            1 => all.Runs[0].Name,
            0 => throw new RefusalException($"'{question.Text}' is asked of a run, and there is none.",
                "Begin one with `dsops submit FILE`."),
            _ => throw new RefusalException($"'{question.Text}' is asked of a run, and none is named.",
                $"Name one: `dsops ask RUN {question.Id}`. There {(all.All > all.Runs.Count ? "are among others" : "are")}: {names}.",
                ExitCode.Usage),
        };
    }
}
