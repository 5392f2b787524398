using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>
/// Losses as text, one sample a line: whatever columns there are besides, by whatever of the usual names and separators, in whatever order.
/// </summary>
/// <param name="Samples">In the order in which they are watched.</param>
/// <param name="Problems">What is wrong, by line, with the fix; then nothing was read.</param>
/// <param name="Notes">What was taken in another way than it stands there.</param>
public sealed record LossFile(ImmutableArray<LossSample> Samples, ImmutableArray<string> Problems, ImmutableArray<string> Notes)
{
    private const int ProblemsTold = 5;

    /// <summary>A log that was continued goes back now and then; one in which more lines go back than this part is out of order.</summary>
    private const double RestartsAtMost = 0.1;

    public static LossFile Parse(ReadOnlySpan<char> text)
    {
        var samples = ImmutableArray.CreateBuilder<LossSample>();
        var problems = ImmutableArray.CreateBuilder<string>();
        LossColumns? columns = null;
        long line = 0, back = 0, rows = 0, wrong = 0;
        foreach (var raw in text.EnumerateLines())
        {
            line++;
            var row = raw.Trim().TrimStart('\uFEFF');
            if (row.IsEmpty || row[0] == '#')
            {
                continue;
            }

            if (columns is null)
            {
                columns = LossColumns.Of(row, out string? problem);
                if (columns is null)
                {
                    return new LossFile([], [$"line {line}: {problem}"], []);
                }

                if (columns.Named)
                {
                    continue;
                }
            }

            rows++;
            switch (columns.Read(raw, rows, out var sample, out string? why))
            {
                case RowRead.Sample:
                    back += samples.Count > 0 && sample.Step < samples[^1].Step ? 1 : 0;
                    samples.Add(sample);
                    break;
                case RowRead.Wrong:
                    wrong++;
                    if (problems.Count < ProblemsTold)
                    {
                        problems.Add($"line {line}: {why}");
                    }

                    break;
            }
        }

        return wrong > 0 ? Wrong(problems, wrong) : Ordered(samples, back);
    }

    private static LossFile Wrong(ImmutableArray<string>.Builder problems, long wrong)
    {
        if (wrong > problems.Count)
        {
            problems.Add($"and {wrong - problems.Count} lines more");
        }

        return new LossFile([], problems.ToImmutable(), []);
    }

    private static LossFile Ordered(ImmutableArray<LossSample>.Builder samples, long back)
    {
        if (samples.Count == 0)
        {
            return new LossFile([], ["there is no line with a loss; write one sample a line: step,loss or step,loss,grad_norm"], []);
        }

        if (back == 0)
        {
            return new LossFile(samples.ToImmutable(), [], []);
        }

        if (back <= RestartsAtMost * samples.Count)
        {
            string times = back == 1 ? "once" : string.Create(CultureInfo.InvariantCulture, $"{back} times");
            return new LossFile(samples.ToImmutable(), [], [$"steps go back {times}: taken as restarts"]);
        }

        // Stable: of equal steps the last line of the file counts last.
        return new LossFile([.. samples.OrderBy(s => s.Step)], [], ["lines are not in the order of their steps: sorted"]);
    }
}
