using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>Where a word of a search is looked for.</summary>
public enum RunField
{
    /// <summary>In all of the others.</summary>
    Any = 0,
    Name = 1,
    Team = 2,
    Group = 3,
    State = 4,
}

/// <summary>One word of a search.</summary>
/// <param name="Text">In small letters; '*' stands for anything between its parts.</param>
/// <param name="Whole">The field is this text, and does not only contain it.</param>
/// <param name="Not">Only runs that it does not fit.</param>
public sealed record RunTerm(RunField Field, string Text, bool Whole, bool Not);

/// <summary>
/// What somebody looks for among runs: words that must all fit. "alpha" is looked for in name, team, group and state; "team:alpha" in
/// the team; "name=mini" is that name; "-state:failed" leaves those out; "tiny-*lr1" has anything between its parts.
/// </summary>
/// <param name="Hint">What of it could not be understood, and what to write; empty: all is well.</param>
public sealed record RunSearch(ImmutableArray<RunTerm> Terms, string Hint)
{
    private static readonly ImmutableArray<(string Name, RunField Field)> Fields =
        [("name", RunField.Name), ("team", RunField.Team), ("group", RunField.Group), ("state", RunField.State)];

    public static RunSearch Everything { get; } = new([], "");

    public static RunSearch Parse(string text)
    {
        var terms = ImmutableArray.CreateBuilder<RunTerm>();
        string hint = "";
        foreach (string word in text.ToLower(CultureInfo.InvariantCulture).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            bool not = word.Length > 1 && word[0] == '-';
            string wanted = not ? word[1..] : word;
            int cut = wanted.AsSpan().IndexOfAny(':', '=');
            var (name, field) = cut > 0 ? Fields.FirstOrDefault(f => f.Name == wanted[..cut]) : default;
            if (name is null && cut > 0)
            {
                hint = $"'{wanted[..(cut + 1)]}' is not a field to search by; write name:, team:, group: or state:";
            }

            // Who has typed "team:" and no more has not said what he wants yet.
            if (name is null || cut + 1 < wanted.Length)
            {
                terms.Add(name is null ? new RunTerm(RunField.Any, wanted, false, not)
                    : new RunTerm(field, wanted[(cut + 1)..], wanted[cut] == '=', not));
            }
        }

        return new RunSearch(terms.ToImmutable(), hint);
    }

    /// <summary>
    /// What is kept beside a run so that <see cref="RunField.Any"/> is one look: its fields in small letters, a line each.
    /// </summary>
    public static string TextOf(RunView run) =>
        string.Join('\n', (string[])[run.Name, run.Team, .. run.Groups, run.State]).ToLower(CultureInfo.InvariantCulture);
}
