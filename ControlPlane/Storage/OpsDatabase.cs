using System.Data.Common;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Which database: the embedded one, a file under the data directory, or PostgreSQL. The same code runs on both.</summary>
public abstract record OpsDatabase
{
    private OpsDatabase() { }

    /// <summary>"sqlite" or "postgresql".</summary>
    public abstract string Kind { get; }

    public sealed record Sqlite(string Path) : OpsDatabase
    {
        public override string Kind => "sqlite";

        /// <summary>Of a file that is there: one that was deleted meanwhile must not come back empty.</summary>
        public string ConnectionString => CreatingConnectionString + ";Mode=ReadWrite";

        public string CreatingConnectionString => $"Data Source={Path};Cache=Private;Foreign Keys=False;Default Timeout=10";
    }

    /// <param name="ConnectionString">Npgsql's, with a pool that leaves room for other silos and people.</param>
    public sealed record Postgres(string ConnectionString) : OpsDatabase
    {
        public override string Kind => "postgresql";

        /// <summary>Host and database, for messages; never the password.</summary>
        public string Address
        {
            get
            {
                var parts = new NpgsqlConnectionStringBuilder(ConnectionString);
                return $"{parts.Host}:{parts.Port}/{parts.Database}";
            }
        }

        /// <summary>
        /// Of a silo among several: rows that it has locked are let go of where it stops in the middle of a transaction. Three seconds, as
        /// <see cref="PostgresHold.SpeaksFor"/>: its heirs come then, and they need them.
        /// </summary>
        public Postgres OfSeveral()
        {
            var parts = new NpgsqlConnectionStringBuilder(ConnectionString);
            parts.Options = $"{parts.Options} -c idle_in_transaction_session_timeout=3000".Trim();
            return new Postgres(parts.ConnectionString);
        }
    }

    /// <summary>Which part of it, counted, and the keyword that was perhaps meant; never what stands there.</summary>
    private static string WhatIsWrong(string text)
    {
        var known = new NpgsqlConnectionStringBuilder();
        string[] parts = text.Split(';', StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < parts.Length; i++)
        {
            string keyword = parts[i].Split('=')[0].Trim();
            if (!parts[i].Contains('=', StringComparison.Ordinal) || !known.ContainsKey(keyword))
            {
                string? meant = Array.Find(Usual, word => EditDistance.IsNear(keyword, word));
                return $"part {i + 1} of {parts.Length} has no keyword that is known{(meant is null ? "" : $" (is {meant} meant?)")}";
            }
        }

        return parts.Any(
            part => part.StartsWith("host", StringComparison.OrdinalIgnoreCase)
                || part.StartsWith("server", StringComparison.OrdinalIgnoreCase))
            ? "one of its values is not of the form that its keyword takes" : "it names no Host";
    }

    private static readonly string[] Usual = ["Host", "Port", "Username", "Password", "Database"];

    /// <summary>
    /// null or empty: the embedded database in <paramref name="dataDirectory"/>; otherwise a PostgreSQL connection string.
    /// </summary>
    /// <exception cref="FormatException">The text is not a connection string; the message says where, and repeats none of it: a password is
    /// in it.</exception>
    public static OpsDatabase Parse(string? text, string dataDirectory)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return new Sqlite(Path.Combine(dataDirectory, "dsops.db"));
        }

        try
        {
            var parts = new NpgsqlConnectionStringBuilder(text);
            if (string.IsNullOrEmpty(parts.Host))
            {
                throw new ArgumentException("it names no Host");
            }

            // dotnet-stack measurements: prepared statements pay, and a pool beyond 60 per silo only queues inside PostgreSQL.
            parts.MaxAutoPrepare = parts.MaxAutoPrepare == 0 ? 20 : parts.MaxAutoPrepare;
            parts.MaxPoolSize = Math.Min(parts.MaxPoolSize, 60);
            // Npgsql's own 15 and 30 s leave who asks without an answer for longer than a verb or a page waits.
            var named = new DbConnectionStringBuilder { ConnectionString = text };
            parts.Timeout = named.ContainsKey("Timeout") ? parts.Timeout : 5;
            parts.CommandTimeout = named.ContainsKey("Command Timeout") || named.ContainsKey("CommandTimeout") ? parts.CommandTimeout : 10;
            return new Postgres(parts.ConnectionString);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException)
        {
            // Neither the text nor Npgsql's own words, which repeat parts of it: the cause is not handed on either.
            throw new FormatException($"This is not a PostgreSQL connection string: {WhatIsWrong(text)}. Write "
                + "\"Host=db.example;Username=ops;Database=ops\"; "
                + "the password goes into the file of --database-file, into DSOPS_DATABASE, or into the file that PGPASSFILE names.");
        }
    }
}

/// <summary>The database cannot be used; the message says why, <see cref="Fix"/> what to do.</summary>
public sealed class OpsDatabaseException : Exception
{
    public OpsDatabaseException(string message, Exception? inner = null)
        : base(message, inner) => Fix = "";

    public OpsDatabaseException(StoreTrouble trouble, Exception? inner = null)
        : base($"The database cannot be used: {trouble.Why}.", inner) => Fix = trouble.Fix;

    /// <summary>A whole sentence; empty where the message says it all.</summary>
    public string Fix { get; }
}
